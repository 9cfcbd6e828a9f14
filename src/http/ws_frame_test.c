#include "config.h"

#include "http/ws_frame.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"

static struct buffer out;

static void
teardown(void)
{
	buffer_release(&out);
}

static void
assert_head(size_t len, bool is_compressed, struct slice head)
{
	char bytes[WS_HEAD_MAX];

	ck_assert_uint_eq(ws_head_len(len), head.len);
	ck_assert_uint_eq(ws_write_head(bytes, WS_TEXT, is_compressed, len), head.len);
	ck_assert(slice_eq((struct slice){bytes, head.len}, head));
}

START_TEST(a_head_has_the_shortest_form_of_the_length)
{
	assert_head(0, false, SLICE("\x81\x00"));
	assert_head(125, false, SLICE("\x81\x7d"));
	assert_head(126, false, SLICE("\x81\x7e\x00\x7e"));
	assert_head(65535, false, SLICE("\x81\x7e\xff\xff"));
	assert_head(65536, false, SLICE("\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"));
	assert_head(5, true, SLICE("\xc1\x05"));
}
END_TEST

START_TEST(frames_are_appended_whole)
{
	ws_put_frame(&out, WS_TEXT, SLICE("hi"));
	ws_put_frame(&out, WS_BINARY, SLICE(""));
	ws_put_frame(&out, WS_PONG, SLICE("x"));
	ck_assert(slice_eq(buffer_slice(&out), SLICE("\x81\x02hi\x82\x00\x8a\x01x")));
}
END_TEST

START_TEST(a_close_frame_has_a_code_and_a_reason_or_neither)
{
	ws_put_close(&out, 3001, SLICE("shutdown"));
	ws_put_close(&out, 1000, SLICE(""));
	ws_put_close(&out, 0, SLICE("not sent"));
	ck_assert(slice_eq(
	    buffer_slice(&out), SLICE("\x88\x0a\x0b\xb9shutdown\x88\x02\x03\xe8\x88\x00")));
}
END_TEST

/* The length of the reason that is sent of n times "a" and a text. */
static size_t
sent_reason_len(size_t n, const char *text)
{
	char reason[256];

	memset(reason, 'a', n);
	memcpy(reason + n, text, strlen(text) + 1);
	buffer_clear(&out);
	ws_put_close(&out, 1000, slice_of(reason));
	ck_assert_uint_eq(out.len, 2 + (unsigned char)out.ptr[1]);
	return out.len - 4;
}

START_TEST(a_long_reason_is_cut_between_two_characters)
{
	ck_assert_uint_eq(sent_reason_len(123, ""), 123);
	ck_assert_uint_eq(sent_reason_len(124, ""), 123);
	ck_assert_uint_eq(sent_reason_len(122, "\xC3\xA4"), 122);
	ck_assert_uint_eq(sent_reason_len(121, "\xC3\xA4"), 123);
	ck_assert_uint_eq(sent_reason_len(120, "\xF0\x9F\x98\x80"), 120);
}
END_TEST

int
main(void)
{
	return testing_main("http/ws_frame", NULL, teardown,
	    (const TTest *[]){a_head_has_the_shortest_form_of_the_length, frames_are_appended_whole,
		a_close_frame_has_a_code_and_a_reason_or_neither,
		a_long_reason_is_cut_between_two_characters, NULL});
}
