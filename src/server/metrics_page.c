#include "config.h"

#include "server/metrics_page.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/durations.h"
#include "json/utf8.h"

const char *const metrics_content_types[] = {
    [METRICS_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
    [METRICS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/* Of samples. In the text format the family has that name, too. */
static const char *const suffixes[] = {
    [METRICS_GAUGE] = "",
    [METRICS_COUNTER] = "_total",
    [METRICS_HISTOGRAM] = "",
    [METRICS_INFO] = "_info",
};

static const char *const type_names[] = {
    [METRICS_GAUGE] = "gauge",
    [METRICS_COUNTER] = "counter",
    [METRICS_HISTOGRAM] = "histogram",
    [METRICS_INFO] = "info",
};

enum metrics_format
metrics_format_for(struct slice accept)
{
	static const char name[] = "application/openmetrics-text";

	return memmem(accept.ptr, accept.len, name, sizeof(name) - 1) != NULL ? METRICS_OPENMETRICS
									      : METRICS_TEXT;
}

/* Only a label's value and a help text of OpenMetrics have escaped quotes. A page must be UTF-8. */
static void
append_escaped(struct buffer *out, struct slice s, bool quotes)
{
	bool is_utf8 = json_is_utf8(s);

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c == '\n')
			buffer_append_str(out, "\\n");
		else if (c == '\\' || (c == '"' && quotes))
			buffer_appendf(out, "\\%c", c);
		else if (c < ' ' || c == 0x7f || (c > 0x7f && !is_utf8))
			buffer_append_str(out, "?");
		else
			buffer_append(out, &s.ptr[i], 1);
	}
}

void
metrics_begin(struct metrics_page *page, enum metrics_type type, const char *name, const char *unit,
    const char *help)
{
	bool is_open = page->format == METRICS_OPENMETRICS;
	const char *suffix = is_open ? "" : suffixes[type];
	const char *type_name = !is_open && type == METRICS_INFO ? "gauge" : type_names[type];
	int len =
	    snprintf(page->name, sizeof(page->name), METRICS_PREFIX "%s%s", name, suffixes[type]);

	assert(len > 0 && (size_t)len < sizeof(page->name));
	buffer_appendf(page->out, "# TYPE " METRICS_PREFIX "%s%s %s\n", name, suffix, type_name);
	if (is_open && unit[0] != '\0')
		buffer_appendf(page->out, "# UNIT " METRICS_PREFIX "%s %s\n", name, unit);
	buffer_appendf(page->out, "# HELP " METRICS_PREFIX "%s%s ", name, suffix);
	append_escaped(page->out, slice_of(help), is_open);
	buffer_append_str(page->out, "\n");
}

static void
put_names(struct metrics_page *page, const struct metrics_label *labels, size_t count)
{
	const char *before = "{";

	buffer_append_str(page->out, page->name);
	for (size_t i = 0; i < count; i++) {
		if (labels[i].name == NULL)
			continue;
		buffer_appendf(page->out, "%s%s=\"", before, labels[i].name);
		append_escaped(page->out, labels[i].value, true);
		buffer_append_str(page->out, "\"");
		before = ",";
	}
	buffer_append_str(page->out, before[0] == ',' ? "} " : " ");
}

void
metrics_put_labels(
    struct metrics_page *page, const struct metrics_label *labels, size_t count, uint64_t value)
{
	put_names(page, labels, count);
	buffer_appendf(page->out, "%" PRIu64 "\n", value);
}

void
metrics_put_uint(struct metrics_page *page, struct metrics_label label, uint64_t value)
{
	metrics_put_labels(page, &label, 1, value);
}

static void
append_seconds(struct buffer *out, uint64_t us)
{
	buffer_appendf(out, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
}

void
metrics_put_us(struct metrics_page *page, struct metrics_label label, uint64_t us)
{
	put_names(page, &label, 1);
	append_seconds(page->out, us);
	buffer_append_str(page->out, "\n");
}

void
metrics_put_text(struct metrics_page *page, struct metrics_label label, struct slice number)
{
	put_names(page, &label, 1);
	buffer_append_slice(page->out, number);
	buffer_append_str(page->out, "\n");
}

void
metrics_put_durations(struct metrics_page *page, const struct durations *durations)
{
	uint64_t count = 0;

	for (size_t i = 0; i < DURATION_BOUNDS; i++) {
		count += durations->counts[i];
		buffer_appendf(page->out, "%s_bucket{le=\"%.9g\"} %" PRIu64 "\n", page->name,
		    (double)duration_bounds_us[i] / 1e6, count);
	}
	count += durations->counts[DURATION_BOUNDS];
	buffer_appendf(page->out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum ", page->name, count,
	    page->name);
	append_seconds(page->out, durations->sum_us);
	buffer_appendf(page->out, "\n%s_count %" PRIu64 "\n", page->name, count);
}

void
metrics_end(struct metrics_page *page)
{
	if (page->format == METRICS_OPENMETRICS)
		buffer_append_str(page->out, "# EOF\n");
}
