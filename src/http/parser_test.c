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
	expect("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na\r\n\r\n"
	       "GET / HTTP/1.0\r\n\r\n",
	    "POST /p 1.1 [a\r\n\r\n] Host=a Content-Length=5\nGET / 1.0 []\n");
	expect(
	    "POST /p HTTP/1.0\r\nContent-Length: 0\r\n\r\n", "POST /p 1.0 [] Content-Length=0\n");
	expect("POST /p HTTP/1.0\r\nContent-Length: 3\r\n\r\nab", "more");
}
END_TEST

#define CHUNKED "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define BODY(text) "POST /p 1.1 [" text "] Host=a Transfer-Encoding=chunked\n"

START_TEST(chunks_are_joined)
{
	expect(
	    CHUNKED "5\r\nhello\r\n00d\r\n, wide world!\r\n0\r\n\r\n", BODY("hello, wide world!"));
	expect(CHUNKED "A\r\n\r\n0\r\n\r\n\r\n\n\r\n000\r\n\r\n", BODY("\r\n0\r\n\r\n\r\n\n"));
	expect(CHUNKED "0\r\n\r\nGET / HTTP/1.0\r\n\r\n", BODY("") "GET / 1.0 []\n");
	expect(CHUNKED "5\r\nhel", "more");
	expect("POST / HTTP/1.1\r\nhost:\r\ntransfer-encoding: \t ChunKed \r\n\r\n0\r\n\r\n",
	    "POST / 1.1 [] host= transfer-encoding=ChunKed\n");
}
END_TEST

START_TEST(chunk_extensions_and_trailers_are_dropped)
{
	expect(CHUNKED "2;a=\"b;\xff\";c\r\nhi\r\n0;last\t\r\nA: b\r\nContent-Length: 7\r\n\r\n",
	    BODY("hi"));
	expect(CHUNKED "2\r\nhi\r\n0\r\nA: b\r\n", "more");
}
END_TEST

START_TEST(client_is_asked_for_a_body_that_has_not_begun)
{
	const char *head = "PUT /p HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n"
			   "Content-Length: 3\r\n\r\n";
	struct buffer all = {0};

	buffer_append_str(&all, head);
	buffer_append_str(&all, "abcGET / HTTP/1.0\r\n\r\n");
	for (enum use use = USE_AT_ONCE; use <= USE_GIVEN; use++) {
		for (size_t cut = 1; cut <= all.len; cut++)
			ck_assert_str_eq(heard_of(buffer_slice(&all), cut, all.len, use),
			    cut == strlen(head)
				? "expects\nPUT /p 1.1 [abc] Host=a Expect=100-Continue "
				  "Content-Length=3\nGET / 1.0 []\n"
				: "PUT /p 1.1 [abc] Host=a Expect=100-Continue "
				  "Content-Length=3\nGET / 1.0 []\n");
		ck_assert_str_eq(
		    heard_of((struct slice){all.ptr, strlen(head)}, 1, 1, use), "expects\nmore");
	}
	buffer_release(&all);
}
END_TEST

START_TEST(expectation_without_a_body_or_in_http_1_0_is_ignored)
{
	expect("G / HTTP/1.1\r\nHost:\r\nExpect: 100-continue\r\n\r\n",
	    "G / 1.1 [] Host= Expect=100-continue\n");
	expect("G / HTTP/1.0\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\na",
	    "G / 1.0 [a] Expect=miracles Content-Length=1\n");
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

/* A target of len bytes in a request line. */
static void
put_long_line(struct buffer *out, size_t len)
{
	buffer_append_str(out, "GET /");
	memset(buffer_reserve(out, len - 1), 'a', len - 1);
	out->len += len - 1;
	buffer_append_str(out, " HTTP/1.0\r\n");
}

/* len header bytes in one line. */
static void
put_long_field(struct buffer *out, size_t len)
{
	buffer_append_str(out, "A:");
	memset(buffer_reserve(out, len - 4), 'a', len - 4);
	out->len += len - 4;
	buffer_append_str(out, "\r\n");
}

static void
expect_prefix(const struct buffer *bytes, const char *expected)
{
	for (size_t piece = 1; piece <= bytes->len; piece = piece * 2 + 1)
		ck_assert_str_eq(
		    heard_of(buffer_slice(bytes), piece, piece, USE_AT_ONCE), expected);
}

START_TEST(head_is_limited)
{
	struct buffer bytes = {0};
	size_t rest = strlen("GET  HTTP/1.0\r\n");

	put_long_line(&bytes, limits.line_bytes - rest + 1);
	expect_prefix(&bytes, "414 request line too long");
	buffer_clear(&bytes);
	put_long_line(&bytes, limits.line_bytes - rest);
	expect_prefix(&bytes, "more");
	buffer_append_str(&bytes, "\r");
	expect_prefix(&bytes, "431 request head too large");
	buffer_clear(&bytes);
	put_long_line(&bytes, 100);
	put_long_field(&bytes, limits.line_bytes - 100 - rest - 2);
	buffer_append_str(&bytes, "\r\n");
	ck_assert_str_ne(heard_of(buffer_slice(&bytes), 1, 1, USE_AT_ONCE), "more");
	ck_assert_int_eq(heard.ptr[0], 'G');
	bytes.len -= 2;
	buffer_append_str(&bytes, "a\r\n");
	expect_prefix(&bytes, "431 request head too large");
	buffer_release(&bytes);
}
END_TEST

START_TEST(number_of_fields_is_limited)
{
	expect("G / HTTP/1.0\r\na:\r\na:\r\na:\r\na:\r\n\r\n", "G / 1.0 [] a= a= a= a=\n");
	expect("G / HTTP/1.0\r\na:\r\na:\r\na:\r\na:\r\na:\r\n\r\n", "431 too many header fields");
	limits.arg_count = 1;
	expect("G / HTTP/1.0\r\n\r\n", "G / 1.0 []\n");
	expect("G / HTTP/1.0\r\na:\r\n\r\n", "431 too many header fields");
}
END_TEST

START_TEST(body_is_limited)
{
	const char *too_large = "413 request body too large";

	limits.arg_bytes = 17;
	expect("P / HTTP/1.0\r\nContent-Length: 17\r\n\r\n0123456789abcdefg",
	    "P / 1.0 [0123456789abcdefg] Content-Length=17\n");
	expect("P / HTTP/1.0\r\nContent-Length: 18\r\n\r\n", too_large);
	expect("P / HTTP/1.0\r\nContent-Length: 18446744073709551615\r\n\r\n", too_large);
	expect("P / HTTP/1.0\r\nContent-Length: 99999999999999999999999\r\n\r\n", too_large);
	expect(CHUNKED "11\r\n0123456789abcdefg\r\n0\r\n\r\n", BODY("0123456789abcdefg"));
	expect(CHUNKED "10\r\n0123456789abcdef\r\n1\r\ng\r\n0\r\n\r\n", BODY("0123456789abcdefg"));
	expect(CHUNKED "12", too_large);
	expect(CHUNKED "ffffffffffffffffffffffff", too_large);
	expect(CHUNKED "10\r\n0123456789abcdef\r\n2", too_large);
	limits.arg_bytes = 5;
	expect(CHUNKED "6", too_large);
}
END_TEST

START_TEST(memory_of_a_request_is_limited)
{
	limits.request_bytes = 4 * sizeof(struct slice) + 40;
	expect("P / HTTP/1.0\r\n\r\n", "P / 1.0 []\n");
	expect("P / HTTP/1.0\r\na:\r\n\r\n", "431 request head too large");
	limits.request_bytes = 8 * sizeof(struct slice) + 80;
	expect("P / HTTP/1.0\r\nContent-Length: 1000\r\n\r\n", "413 request body too large");
	limits.request_bytes = 16 * sizeof(struct slice) + 80;
	expect(CHUNKED "100\r\n", "413 request body too large");
	limits.request_bytes = 10;
	expect("P / HTTP/1.0\r\n\r\n", "431 request head too large");
}
END_TEST

static void
put_chunks(struct buffer *out, const char *extension, int count)
{
	buffer_clear(out);
	buffer_append_str(out, CHUNKED);
	while (count-- > 0)
		buffer_appendf(out, "1%s\r\na\r\n", extension);
}

START_TEST(chunk_extensions_are_limited)
{
	struct buffer bytes = {0};

	limits.line_bytes = 100;
	put_chunks(&bytes, "", 900);
	expect_prefix(&bytes, "more");
	put_chunks(&bytes, ";123456789", 900);
	expect_prefix(&bytes, "more");
	put_chunks(&bytes, ";1234567890123456789", 90);
	expect_prefix(&bytes, "400 chunk extensions too long");
	put_chunks(&bytes, ";", 1);
	bytes.len -= strlen("\r\na\r\n");
	memset(buffer_reserve(&bytes, 200), 'x', 200);
	bytes.len += 200;
	expect_prefix(&bytes, "400 chunk extensions too long");
	put_chunks(&bytes, "", 0);
	memset(buffer_reserve(&bytes, 200), '0', 200);
	bytes.len += 200;
	expect_prefix(&bytes, "400 chunk extensions too long");
	buffer_release(&bytes);
}
END_TEST

START_TEST(trailers_are_limited)
{
	struct buffer bytes = {0};

	buffer_append_str(&bytes, CHUNKED "0\r\n");
	for (int i = 0; i < 31; i++)
		buffer_append_str(&bytes, "Abcd: ef\r\n");
	expect_prefix(&bytes, "431 trailers too large");
	buffer_release(&bytes);
}
END_TEST

START_TEST(limits_may_be_lowered_within_a_request)
{
	struct http_parser *p = http_parser_new(&limits);
	const char *parts[] = {
	    CHUNKED "20\r\nabc", "0123456789abcdef0123456789abc\r\n0\r\n", "\r\n"};

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(feed_piece(p, parts[i], strlen(parts[i]), USE_AT_ONCE), i < 2);
		limits = (struct protocol_limits){
		    .arg_bytes = 4, .arg_count = 1, .line_bytes = 32, .request_bytes = 9};
		if (i == 1)
			limits.line_bytes = 1;
	}
	ck_assert_str_eq(http_parser_error(p), "431 trailers too large");
	http_parser_free(p);
}
END_TEST

START_TEST(incomplete_request_is_not_settled)
{
	struct http_parser *p = http_parser_new(&limits);
	const char *expecting =
	    "P / HTTP/1.1\r\nHost:\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";

	ck_assert(http_parser_settle(p));
	ck_assert(feed_piece(p, "G", 1, USE_AT_ONCE));
	ck_assert(!http_parser_settle(p));
	ck_assert_uint_eq(http_parser_held_bytes(p), 1);
	ck_assert_uint_gt(http_parser_room_bytes(p), 0);
	ck_assert(feed_piece(p, " / HTTP/1.0\r\n\r\n", 15, USE_AT_ONCE));
	ck_assert_uint_eq(http_parser_held_bytes(p), 0);
	ck_assert(http_parser_settle(p));
	ck_assert(feed_piece(p, expecting, strlen(expecting), USE_GIVEN));
	ck_assert(!http_parser_settle(p));
	ck_assert_uint_gt(http_parser_held_bytes(p), strlen(expecting) - 20);
	http_parser_free(p);
}
END_TEST

START_TEST(error_lasts_and_holds_no_memory)
{
	struct http_parser *p = http_parser_new(&limits);

	ck_assert(!feed_piece(p, "GET / HTTP/1.0\r\nA: b\r\n bad\r\n", 28, USE_AT_ONCE));
	ck_assert_uint_eq(http_parser_room_bytes(p), 0);
	ck_assert(!http_parser_settle(p));
	ck_assert(!feed_piece(p, "GET / HTTP/1.0\r\n\r\n", 18, USE_AT_ONCE));
	ck_assert_str_eq(http_parser_error(p), "400 folded header line");
	http_parser_free(p);
}
END_TEST

START_TEST(memory_grows_with_the_bytes_that_have_arrived)
{
	struct http_parser *p = http_parser_new(&limits);
	const char *head = "P / HTTP/1.0\r\nContent-Length: 100000000\r\n\r\n";

	limits.arg_bytes = limits.request_bytes = (size_t)1 << 30;
	ck_assert(feed_piece(p, head, strlen(head), USE_AT_ONCE));
	for (size_t at = 0; at < 5000; at++) {
		ck_assert(feed_piece(p, "x", 1, USE_AT_ONCE));
		ck_assert_uint_le(http_parser_room_bytes(p), 4 * at + 2048);
	}
	http_parser_free(p);
}
END_TEST

int
main(void)
{
	return testing_main("http/parser", setup, teardown,
	    (const TTest *[]){request_has_method_target_version_and_fields,
		body_has_the_announced_length, chunks_are_joined,
		chunk_extensions_and_trailers_are_dropped,
		client_is_asked_for_a_body_that_has_not_begun,
		expectation_without_a_body_or_in_http_1_0_is_ignored,
		empty_lines_before_a_request_are_skipped, pipelined_requests_are_told_apart,
		head_is_limited, number_of_fields_is_limited, body_is_limited,
		memory_of_a_request_is_limited, chunk_extensions_are_limited, trailers_are_limited,
		limits_may_be_lowered_within_a_request, incomplete_request_is_not_settled,
		error_lasts_and_holds_no_memory, memory_grows_with_the_bytes_that_have_arrived,
		NULL});
}
