#include "config.h"

#include "http/parser.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/testing.h"
#include "http/request.h"

static struct protocol_limits limits;
static struct buffer heard;

static void
setup(void)
{
	limits = (struct protocol_limits){
	    .arg_bytes = 1000, .arg_count = 12, .line_bytes = 300, .request_bytes = 4000};
}

static void
teardown(void)
{
	buffer_release(&heard);
}

/* "METHOD TARGET VERSION [BODY] NAME=VALUE" and a line feed, or "expects". */
static void
note_request(const struct protocol_request *request)
{
	const struct slice *args = request->args;

	ck_assert(request->ends_batch);
	ck_assert_uint_ge(request->count, HTTP_FIELDS);
	if (args[HTTP_METHOD].len == 0) {
		ck_assert_uint_eq(request->count, HTTP_FIELDS);
		buffer_append_str(&heard, "expects\n");
		return;
	}
	for (size_t i = 0; i < HTTP_BODY; i++) {
		buffer_append_slice(&heard, args[i]);
		buffer_append_str(&heard, " ");
	}
	buffer_append_str(&heard, "[");
	buffer_append_slice(&heard, args[HTTP_BODY]);
	buffer_append_str(&heard, "]");
	for (size_t i = HTTP_FIELDS; i < request->count; i += 2) {
		buffer_append_str(&heard, " ");
		buffer_append_slice(&heard, args[i]);
		buffer_append_str(&heard, "=");
		buffer_append_slice(&heard, args[i + 1]);
	}
	buffer_append_str(&heard, "\n");
}

/* What the caller does with a request before it reads it. */
enum use { USE_AT_ONCE, USE_KEPT, USE_GIVEN };

static void
note_kept(struct http_parser *p, char *piece, size_t len)
{
	struct protocol_request kept = http_parser_keep(p);

	memset(piece, 'x', len);
	note_request(&kept);
}

/* As an I/O loop does: the request is used when the parser has gone on. */
static void
note_given(struct http_parser *p, const struct protocol_request *request)
{
	struct slice args[20];
	struct arena arena = {0};

	ck_assert_uint_le(request->count, 20);
	memcpy(args, request->args, request->count * sizeof(*args));
	http_parser_give_arena(p, &arena);
	(void)http_parser_settle(p);
	note_request(&(struct protocol_request){
	    .args = args, .count = request->count, .ends_batch = request->ends_batch});
	arena_release(&arena);
}

/* Feeds a copy of the bytes, which is freed afterwards. False at an error. */
static bool
feed_piece(struct http_parser *p, const char *ptr, size_t len, enum use use)
{
	char *piece = xmemdup(ptr, len);
	size_t at = 0, taken;
	struct protocol_request request;
	enum protocol_status status = PROTOCOL_MORE;

	while (at < len && status != PROTOCOL_ERROR) {
		status = http_parser_feed(p, piece + at, len - at, &taken, &request);
		ck_assert_uint_le(taken, len - at);
		if (status == PROTOCOL_MORE)
			ck_assert_uint_eq(taken, len - at);
		if (status == PROTOCOL_REQUEST && use == USE_AT_ONCE)
			note_request(&request);
		else if (status == PROTOCOL_REQUEST && use == USE_KEPT)
			note_kept(p, piece + at, taken);
		else if (status == PROTOCOL_REQUEST)
			note_given(p, &request);
		at += taken;
	}
	xfree(piece);
	return status != PROTOCOL_ERROR;
}

/* The requests that were heard, then the error, or "more" if a request is incomplete. The bytes are
 * cut behind first_len bytes, and then into pieces of piece_len bytes. */
static const char *
heard_of(struct slice s, size_t first_len, size_t piece_len, enum use use)
{
	struct http_parser *p = http_parser_new(&limits);
	size_t at = 0, len = first_len;
	bool is_good = true;

	buffer_clear(&heard);
	while (at < s.len && is_good) {
		if (len > s.len - at)
			len = s.len - at;
		is_good = feed_piece(p, s.ptr + at, len, use);
		at += len;
		len = piece_len;
	}
	if (!is_good)
		buffer_append_str(&heard, http_parser_error(p));
	else if (!http_parser_settle(p))
		buffer_append_str(&heard, "more");
	else
		ck_assert_uint_eq(http_parser_held_bytes(p), 0);
	buffer_append(&heard, "", 1);
	http_parser_free(p);
	return heard.ptr;
}

static void
expect_bytes(struct slice s, const char *expected)
{
	for (enum use use = USE_AT_ONCE; use <= USE_GIVEN; use++) {
		ck_assert_str_eq(heard_of(s, s.len, 1, use), expected);
		ck_assert_str_eq(heard_of(s, 1, 1, use), expected);
		for (size_t cut = 1; cut < s.len; cut += (size_t)testing_stride(1, 7))
			ck_assert_str_eq(heard_of(s, cut, s.len, use), expected);
	}
}

/* Whole, in bytes, and cut in two at any place. */
static void
expect(const char *bytes, const char *expected)
{
	expect_bytes(slice_of(bytes), expected);
}

START_TEST(request_has_method_target_version_and_fields)
{
	expect(
	    "GET /sse?channel=a HTTP/1.1\r\nHost: a.example:80\r\nX: \t y z \t\r\nEmpty:\r\n\r\n",
	    "GET /sse?channel=a 1.1 [] Host=a.example:80 X=y z Empty=\n");
	expect("G / HTTP/1.0\r\n\r\n", "G / 1.0 []\n");
	expect("OPTIONS * HTTP/1.1\r\nhOST:\r\n\r\n", "OPTIONS * 1.1 [] hOST=\n");
	expect("G / HTTP/1.9\r\nHost: [::1]:8000\r\n\r\n", "G / 1.1 [] Host=[::1]:8000\n");
}
END_TEST

START_TEST(body_has_the_announced_length)
{
	expect("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na\r\n\r\nGET / "
	       "HTTP/1.0\r\n\r\n",
	    "POST /p 1.1 [a\r\n\r\n] Host=a Content-Length=5\nGET / 1.0 []\n");
	expect(
	    "POST /p HTTP/1.0\r\nContent-Length: 0\r\n\r\n", "POST /p 1.0 [] Content-Length=0\n");
	expect("POST /p HTTP/1.0\r\nContent-Length: 3\r\n\r\nab", "more");
}
END_TEST

START_TEST(empty_lines_before_a_request_are_skipped)
{
	expect("\r\n\r\nGET / HTTP/1.0\r\n\r\n\r\n", "GET / 1.0 []\n");
	expect("\r\n\r", "more");
	expect("\n", "400 line ends with a bare LF");
}
END_TEST

START_TEST(pipelined_requests_are_told_apart)
{
	expect("GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\nA:b\r\n\r\nGET /3 HTTP/1.0\r\n\r\nG",
	    "GET /1 1.0 []\nGET /2 1.0 [] A=b\nGET /3 1.0 []\nmore");
}
END_TEST

int
main(void)
{
	return testing_main("http/parser", setup, teardown,
	    (const TTest *[]){request_has_method_target_version_and_fields,
		body_has_the_announced_length, empty_lines_before_a_request_are_skipped,
		pipelined_requests_are_told_apart, NULL});
}
