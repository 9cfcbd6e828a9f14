#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdint.h>

#include "base/buffer.h"

struct bench_load;

/* What a run has measured, for a person or for a program, and the line that shows it going on. */
void bench_report_text(const struct bench_load *load, struct buffer *out);
void bench_report_json(const struct bench_load *load, struct buffer *out);

/* A zeroed struct is its start. Nothing is shown where stderr is no terminal, or --quiet. */
struct bench_progress {
	uint64_t shown_ns;
	uint64_t delivered;
	int shown; /* 1: a line stands on the terminal */
};

void bench_progress_show(struct bench_progress *p, const struct bench_load *load, uint64_t now_ns);
void bench_progress_clear(struct bench_progress *p);

#endif
