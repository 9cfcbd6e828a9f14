#include "config.h"

#include "http/chunks.h"

#include <check.h>

#include "base/buffer.h"
#include "base/testing.h"

static const struct http_chunk_limits limits = {.body_bytes = 1000, .excess_bytes = 50};

/* Decodes the bytes in pieces; the body goes to *body, and *rest is what was not taken. */
static enum http_chunks_result
decode(struct slice s, size_t piece_len, struct buffer *body, struct slice *rest)
{
	struct http_chunks chunks = {.total = 0};
	enum http_chunks_result result = HTTP_CHUNKS_MORE;
	struct slice in, data;

	buffer_clear(body);
	while (s.len > 0 && (result == HTTP_CHUNKS_MORE || result == HTTP_CHUNKS_DATA)) {
		in = (struct slice){s.ptr, s.len < piece_len ? s.len : piece_len};
		result = http_chunks_next(&chunks, &limits, &in, &data);
		if (result == HTTP_CHUNKS_DATA) {
			ck_assert_uint_gt(data.len, 0);
			buffer_append_slice(body, data);
		}
		s.len -= (size_t)(in.ptr - s.ptr);
		s.ptr = in.ptr;
	}
	*rest = s;
	return result;
}

START_TEST(body_is_the_same_in_any_pieces)
{
	struct slice coded =
	    SLICE("3\r\nabc\r\n0000a;x=\"y\"\r\n\r\n01234567\r\n1\r\nd\r\n0;z\r\nrest");
	struct buffer body = {0};
	struct slice rest;

	for (size_t len = 1; len <= coded.len; len++) {
		ck_assert_int_eq(decode(coded, len, &body, &rest), HTTP_CHUNKS_END);
		ck_assert(slice_is(buffer_slice(&body), "abc\r\n01234567d"));
		ck_assert(slice_is(rest, "rest"));
	}
	buffer_release(&body);
}
END_TEST

START_TEST(large_chunks_pay_for_extensions)
{
	struct buffer body = {0};
	struct slice rest;

	/* The first line has 61 bytes: 29 beyond what 8 bytes pay for, 43 beyond what one byte
	 * does. Then 32 bytes arrive, of which 16 are free. */
	ck_assert_int_eq(decode(SLICE("8;345678901234567890123456789012345678901234567890123456789"
				      "\r\n01234567\r\n1;3456789012345678901234567890"),
			     1, &body, &rest),
	    HTTP_CHUNKS_MORE);
	ck_assert_int_eq(decode(SLICE("1;345678901234567890123456789012345678901234567890123456789"
				      "\r\n0\r\n1;3456789012345678901234567890"),
			     1, &body, &rest),
	    HTTP_CHUNKS_EXCESS);
	buffer_release(&body);
}
END_TEST

int
main(void)
{
	return testing_main("http/chunks", NULL, NULL,
	    (const TTest *[]){
		body_is_the_same_in_any_pieces, large_chunks_pay_for_extensions, NULL});
}
