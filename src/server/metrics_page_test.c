#include "config.h"

#include "server/metrics_page.h"

#include <string.h>

#include <check.h>

#include "base/buffer.h"
#include "base/durations.h"
#include "base/testing.h"

static struct buffer out;
static struct metrics_page page;

static void
setup(void)
{
	page = (struct metrics_page){.out = &out, .format = METRICS_OPENMETRICS};
}

static void
teardown(void)
{
	buffer_release(&out);
}

static void
assert_page(const char *expected)
{
	buffer_append(&out, "", 1);
	ck_assert_str_eq(out.ptr, expected);
	buffer_clear(&out);
}

START_TEST(a_counter_ends_in_total_in_both_formats)
{
	metrics_begin(&page, METRICS_COUNTER, "net_bytes", "bytes", "Sent.");
	metrics_put_uint(&page, METRICS_NO_LABEL, 17);
	metrics_end(&page);
	assert_page("# TYPE fanfare_net_bytes counter\n# UNIT fanfare_net_bytes bytes\n"
		    "# HELP fanfare_net_bytes Sent.\nfanfare_net_bytes_total 17\n# EOF\n");
	page.format = METRICS_TEXT;
	metrics_begin(&page, METRICS_COUNTER, "net_bytes", "bytes", "Sent.");
	metrics_put_uint(&page, METRICS_NO_LABEL, 17);
	metrics_end(&page);
	assert_page("# TYPE fanfare_net_bytes_total counter\n"
		    "# HELP fanfare_net_bytes_total Sent.\nfanfare_net_bytes_total 17\n");
}
END_TEST

START_TEST(an_info_metric_is_a_gauge_of_1_in_the_text_format)
{
	const struct metrics_label labels[] = {
	    METRICS_LABEL("version", "1"), METRICS_LABEL("os", "Linux")};

	metrics_begin(&page, METRICS_INFO, "build", "", "Text.");
	metrics_put_labels(&page, labels, 2, 1);
	assert_page("# TYPE fanfare_build info\n# HELP fanfare_build Text.\n"
		    "fanfare_build_info{version=\"1\",os=\"Linux\"} 1\n");
	page.format = METRICS_TEXT;
	metrics_begin(&page, METRICS_INFO, "build", "", "Text.");
	assert_page("# TYPE fanfare_build_info gauge\n# HELP fanfare_build_info Text.\n");
}
END_TEST

START_TEST(label_values_and_help_texts_cannot_break_a_line)
{
	metrics_begin(&page, METRICS_GAUGE, "g", "", "a \"b\"\nc\\");
	metrics_put_uint(&page, METRICS_LABEL("x", "\"}\n\\\r\xc3\xa9"), 1);
	metrics_put_uint(&page, METRICS_LABEL("x", "\xff\xc3\xa9"), 2);
	assert_page("# TYPE fanfare_g gauge\n# HELP fanfare_g a \\\"b\\\"\\nc\\\\\n"
		    "fanfare_g{x=\"\\\"}\\n\\\\?\xc3\xa9\"} 1\nfanfare_g{x=\"???\"} 2\n");
	page.format = METRICS_TEXT;
	metrics_begin(&page, METRICS_GAUGE, "g", "", "a \"b\"");
	assert_page("# TYPE fanfare_g gauge\n# HELP fanfare_g a \"b\"\n");
}
END_TEST

START_TEST(microseconds_are_shown_in_seconds)
{
	metrics_begin(&page, METRICS_GAUGE, "t_seconds", "seconds", "T.");
	buffer_clear(&out);
	metrics_put_us(&page, METRICS_NO_LABEL, 0);
	metrics_put_us(&page, METRICS_LABEL("cmd", "get"), UINT64_C(12000345));
	assert_page("fanfare_t_seconds 0.000000\nfanfare_t_seconds{cmd=\"get\"} 12.000345\n");
}
END_TEST

START_TEST(a_histogram_counts_upwards_to_infinity)
{
	struct durations durations = {0};
	const char *text;

	durations_add(&durations, 40);
	durations_add(&durations, 2000);
	durations_add(&durations, 5000000);
	metrics_begin(&page, METRICS_HISTOGRAM, "turn_seconds", "seconds", "T.");
	metrics_put_durations(&page, &durations);
	buffer_append(&out, "", 1);
	text = out.ptr;
	ck_assert_ptr_nonnull(strstr(text, "# TYPE fanfare_turn_seconds histogram\n"));
	ck_assert_ptr_nonnull(strstr(text, "fanfare_turn_seconds_bucket{le=\"5e-05\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "fanfare_turn_seconds_bucket{le=\"0.001\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "fanfare_turn_seconds_bucket{le=\"0.0025\"} 2\n"));
	ck_assert_ptr_nonnull(strstr(text, "fanfare_turn_seconds_bucket{le=\"1\"} 2\n"));
	ck_assert_ptr_nonnull(
	    strstr(text, "fanfare_turn_seconds_bucket{le=\"+Inf\"} 3\n"
			 "fanfare_turn_seconds_sum 5.002040\nfanfare_turn_seconds_count 3\n"));
}
END_TEST

START_TEST(the_format_is_openmetrics_only_if_the_request_accepts_it)
{
	ck_assert_int_eq(metrics_format_for(SLICE("")), METRICS_TEXT);
	ck_assert_int_eq(metrics_format_for(SLICE("*/*")), METRICS_TEXT);
	ck_assert_int_eq(metrics_format_for(SLICE("text/plain;version=0.0.4")), METRICS_TEXT);
	ck_assert_int_eq(
	    metrics_format_for(SLICE("application/openmetrics-text;version=1.0.0,*/*;q=0.1")),
	    METRICS_OPENMETRICS);
}
END_TEST

int
main(void)
{
	return testing_main("server/metrics_page", setup, teardown,
	    (const TTest *[]){a_counter_ends_in_total_in_both_formats,
		an_info_metric_is_a_gauge_of_1_in_the_text_format,
		label_values_and_help_texts_cannot_break_a_line, microseconds_are_shown_in_seconds,
		a_histogram_counts_upwards_to_infinity,
		the_format_is_openmetrics_only_if_the_request_accepts_it, NULL});
}
