#include "config.h"

#include "cli/lines.h"

#include <string.h>

#include "base/testing.h"

static struct lines l;
static struct slice line;

static void
setup(void)
{
	lines_init(&l, 8);
}

static void
teardown(void)
{
	lines_release(&l);
}

static void
feed(struct slice s)
{
	memcpy(lines_room(&l, s.len), s.ptr, s.len);
	lines_fed(&l, s.len);
}

static bool
next_is(const char *text)
{
	return lines_next(&l, &line) == LINES_LINE && slice_is(line, text);
}

START_TEST(lines_come_in_order_and_empty_ones_count)
{
	feed(SLICE("a\n\nbc\n"));
	ck_assert(next_is("a"));
	ck_assert(next_is(""));
	ck_assert(next_is("bc"));
	ck_assert_int_eq(lines_next(&l, &line), LINES_MORE);
	lines_end(&l);
	ck_assert_int_eq(lines_next(&l, &line), LINES_END);
}
END_TEST

START_TEST(the_last_line_needs_no_newline)
{
	feed(SLICE("a\nb"));
	ck_assert(next_is("a"));
	ck_assert_int_eq(lines_next(&l, &line), LINES_MORE);
	lines_end(&l);
	ck_assert(next_is("b"));
	ck_assert_int_eq(lines_next(&l, &line), LINES_END);
}
END_TEST

START_TEST(no_byte_but_the_newline_is_special)
{
	feed(SLICE("\r\0\xff\r\n"));
	ck_assert_int_eq(lines_next(&l, &line), LINES_LINE);
	ck_assert(slice_eq(line, SLICE("\r\0\xff\r")));
}
END_TEST

START_TEST(a_line_may_be_as_long_as_the_bound_and_no_longer)
{
	feed(SLICE("12345678\n123456789"));
	ck_assert(next_is("12345678"));
	ck_assert_int_eq(lines_next(&l, &line), LINES_LONG);
	feed(SLICE("\n"));
	ck_assert_int_eq(lines_next(&l, &line), LINES_LONG);
}
END_TEST

START_TEST(an_empty_stream_has_no_line)
{
	ck_assert_int_eq(lines_next(&l, &line), LINES_MORE);
	lines_end(&l);
	ck_assert_int_eq(lines_next(&l, &line), LINES_END);
}
END_TEST

/* Random lines, fed in random pieces, come out unchanged, and the buffer stays small. */
START_TEST(any_split_of_the_stream_gives_the_same_lines)
{
	uint64_t state = 7;

	for (int round = 0; round < testing_steps(200); round++) {
		static char text[4096];
		size_t len = 0;
		size_t fed = 0;
		size_t read = 0;

		while (len < sizeof(text) - 9) {
			for (size_t n = testing_random(&state) % 9; n > 0; n--, len++)
				text[len] = (char)('a' + len % 26);
			text[len++] = '\n';
		}
		while (fed < len) {
			size_t piece = 1 + testing_random(&state) % 20;

			if (piece > len - fed)
				piece = len - fed;
			feed((struct slice){text + fed, piece});
			fed += piece;
			while (lines_next(&l, &line) == LINES_LINE) {
				ck_assert_mem_eq(line.ptr, text + read, line.len);
				read += line.len;
				ck_assert_int_eq(text[read++], '\n');
			}
		}
		ck_assert_uint_eq(read, len);
		ck_assert_uint_le(l.bytes.cap, 1024);
	}
}
END_TEST

int
main(void)
{
	return testing_main("cli/lines", setup, teardown,
	    (const TTest *[]){lines_come_in_order_and_empty_ones_count,
		the_last_line_needs_no_newline, no_byte_but_the_newline_is_special,
		a_line_may_be_as_long_as_the_bound_and_no_longer, an_empty_stream_has_no_line,
		any_split_of_the_stream_gives_the_same_lines, NULL});
}
