#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdint.h>

#include "base/buffer.h"

struct bench_load;

/* Prints the results of a run, as text or JSON, and the progress line. */
void bench_report_text(const struct bench_load *load, struct buffer *out);
void bench_report_json(const struct bench_load *load, struct buffer *out);

/* Initialized with zeros. Nothing is shown with --quiet or if stderr is not a terminal. */
struct bench_progress {
	uint64_t shown_ns;
	uint64_t delivered;
	int shown; /* 1: the terminal shows a progress line */
};

void bench_progress_show(struct bench_progress *p, const struct bench_load *load, uint64_t now_ns);
void bench_progress_clear(struct bench_progress *p);

#endif
