#include "config.h"

#include "base/buffer.h"

#include <check.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"

static struct buffer b;

static void
teardown(void)
{
	buffer_release(&b);
}

static bool
holds(struct slice expected)
{
	return slice_eq(buffer_slice(&b), expected);
}

START_TEST(an_empty_buffer_owns_nothing)
{
	size_t before = alloc_used_bytes();

	buffer_append(&b, NULL, 0);
	buffer_append_str(&b, "");
	buffer_clear(&b);
	buffer_shrink(&b, 0);
	buffer_release(&b);
	ck_assert_uint_eq(alloc_used_bytes(), before);
	ck_assert_uint_eq(buffer_slice(&b).len, 0);
}
END_TEST

START_TEST(appended_pieces_lie_side_by_side)
{
	buffer_append(&b, "a\0b", 3);
	buffer_append_slice(&b, SLICE("-slice-"));
	buffer_append_str(&b, "str");
	buffer_appendf(&b, "-%05d-%s", 42, "fmt");
	ck_assert(holds(SLICE("a\0b-slice-str-00042-fmt")));
}
END_TEST

START_TEST(a_format_of_any_length_fits)
{
	buffer_append_str(&b, ">");
	buffer_appendf(&b, "%5000d", 7);
	ck_assert_uint_eq(b.len, 5001);
	ck_assert_int_eq(b.ptr[5000], '7');
	ck_assert_int_eq(b.ptr[4999], ' ');
}
END_TEST

START_TEST(a_million_single_bytes_move_the_buffer_a_few_times_only)
{
	size_t caps = 0, last_cap = 0;
	int i;

	for (i = 0; i < 1000000; i++) {
		char byte = (char)i;

		buffer_append(&b, &byte, 1);
		caps += b.cap != last_cap;
		last_cap = b.cap;
	}
	ck_assert_uint_le(caps, 20);
	ck_assert_uint_lt(b.cap, 2 * 1000000 + 64);
	for (i = 0; i < 1000000; i++)
		if (b.ptr[i] != (char)i)
			ck_abort_msg("byte %d changed", i);
}
END_TEST

START_TEST(reserved_room_becomes_content_when_the_caller_says_so)
{
	char *at;

	buffer_append_str(&b, "ab");
	at = buffer_reserve(&b, 100);
	memset(at, 'c', 100);
	ck_assert(holds(SLICE("ab")));
	b.len += 3;
	ck_assert(holds(SLICE("abccc")));
}
END_TEST

START_TEST(clearing_keeps_the_room_and_shrinking_gives_it_back)
{
	size_t before = alloc_used_bytes();
	size_t cap;

	buffer_reserve(&b, 100000);
	buffer_append_str(&b, "x");
	cap = b.cap;
	buffer_shrink(&b, 0);
	ck_assert_uint_eq(b.cap, cap); /* not empty: it stays */
	buffer_clear(&b);
	ck_assert_uint_eq(b.cap, cap);
	buffer_shrink(&b, 1024);
	ck_assert_uint_eq(b.cap, 1024);
	ck_assert_uint_lt(alloc_used_bytes(), before + 2048);
	buffer_shrink(&b, 0);
	ck_assert_uint_eq(alloc_used_bytes(), before);
}
END_TEST

START_TEST(foreign_bytes_are_escaped_as_redis_does)
{
	buffer_append_escaped(&b, SLICE("az09 ~\"\\\n\r\t\a\b"));
	ck_assert(holds(SLICE("az09 ~\\\"\\\\\\n\\r\\t\\a\\b")));
	buffer_clear(&b);
	buffer_append_escaped(&b, SLICE("\0\x1f\x7f\x80\xff'"));
	ck_assert(holds(SLICE("\\x00\\x1f\\x7f\\x80\\xff'")));
}
END_TEST

int
main(void)
{
	return testing_main("base/buffer", NULL, teardown,
	    (const TTest *[]){an_empty_buffer_owns_nothing, appended_pieces_lie_side_by_side,
		a_format_of_any_length_fits,
		a_million_single_bytes_move_the_buffer_a_few_times_only,
		reserved_room_becomes_content_when_the_caller_says_so,
		clearing_keeps_the_room_and_shrinking_gives_it_back,
		foreign_bytes_are_escaped_as_redis_does, NULL});
}
