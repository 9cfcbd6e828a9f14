#ifndef SERVER_METRICS_PAGE_H
#define SERVER_METRICS_PAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Metrics page: the text formats that Prometheus and others scrape.
 *
 * A page is a sequence of families, each begun once and followed by its samples. Names, types and
 * label names are the program's own; help texts and label values may have any bytes, which are
 * escaped. The page does not know what is measured.
 */
struct buffer;
struct durations;

/* OpenMetrics 1.0, and the older Prometheus text format 0.0.4, in which a counter's family has the
 * name of its samples. */
enum metrics_format { METRICS_TEXT, METRICS_OPENMETRICS };

/* The format for the value of a request's header Accept, "" if it has none: OpenMetrics if named
 * there, as Prometheus does. */
enum metrics_format metrics_format_for(struct slice accept);

extern const char *const metrics_content_types[]; /* by enum metrics_format */

/* METRICS_INFO: one sample with the value 1, whose labels are what matters. */
enum metrics_type { METRICS_GAUGE, METRICS_COUNTER, METRICS_HISTOGRAM, METRICS_INFO };

#define METRICS_NAME_MAX 128
#define METRICS_PREFIX "fanfare_"

struct metrics_page {
	struct buffer *out; /* borrowed */
	enum metrics_format format;
	char name[METRICS_NAME_MAX]; /* of the samples of the family that was begun last */
};

struct metrics_label {
	const char *name; /* NULL: no label */
	struct slice value;
};

/* No label, and one with a string or a slice as its value. */
#define METRICS_NO_LABEL ((struct metrics_label){.name = NULL})
#define METRICS_LABEL(label, string) ((struct metrics_label){(label), slice_of(string)})

/*
 * name has neither the prefix nor the suffix of its type: "requests" becomes
 * fanfare_requests_total. unit is the last word of the name ("bytes", "seconds") or "".
 */
void metrics_begin(struct metrics_page *page, enum metrics_type type, const char *name,
    const char *unit, const char *help);

/* A sample of the last family. */
void metrics_put_uint(struct metrics_page *page, struct metrics_label label, uint64_t value);
void metrics_put_us(struct metrics_page *page, struct metrics_label label, uint64_t us);
void metrics_put_text(struct metrics_page *page, struct metrics_label label, struct slice number);

/* With several labels; for METRICS_INFO. */
void metrics_put_labels(
    struct metrics_page *page, const struct metrics_label *labels, size_t count, uint64_t value);

/* All samples of a histogram, in seconds. */
void metrics_put_durations(struct metrics_page *page, const struct durations *durations);

void metrics_end(struct metrics_page *page);

#endif
