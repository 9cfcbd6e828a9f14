#include "config.h"

#include "http/protocol.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"

static const struct protocol_limits limits = {
    .arg_bytes = 1000, .arg_count = 64, .line_bytes = 2000, .request_bytes = 10000};

/* Feeds the bytes, cut at `cut`; the first half is freed before the second is fed. Returns the code
 * of the error, 0 if there was none; *requests counts the requests before it. */
static int
status_of(struct slice s, size_t cut, int *requests)
{
	void *state = http_protocol.open(&limits);
	struct slice parts[] = {{s.ptr, cut}, {s.ptr + cut, s.len - cut}};
	struct protocol_request request;
	int status = 0;

	*requests = 0;
	for (int i = 0; i < 2 && status == 0; i++) {
		char *part = xmemdup(parts[i].ptr, parts[i].len);
		size_t at = 0, taken;

		while (at < parts[i].len && status == 0) {
			switch (http_protocol.feed(
			    state, part + at, parts[i].len - at, true, &taken, &request)) {
			case PROTOCOL_MORE:
				break;
			case PROTOCOL_REQUEST:
				*requests += request.args[HTTP_METHOD].len > 0;
				break;
			case PROTOCOL_ERROR:
				ck_assert_int_eq(
				    sscanf(http_protocol.error(state), "%3d ", &status), 1);
				break;
			}
			at += taken;
		}
		xfree(part);
	}
	http_protocol.close(state);
	return status;
}

/* The status of the response, 0 if the input is one valid request; -1 if it is incomplete. */
static int
judged(struct slice s)
{
	int requests, again, status = status_of(s, 0, &requests);

	ck_assert_int_le(requests, 1);
	ck_assert(status == 0 || requests == 0);
	for (size_t cut = 1; cut < s.len; cut++) {
		ck_assert_int_eq(status_of(s, cut, &again), status);
		ck_assert_int_eq(again, requests);
	}
	return status == 0 && requests == 0 ? -1 : status;
}

struct trial {
	const char *bytes;
	size_t len;
	int status;
};

#define LINE(text, status)                                                                         \
	{                                                                                          \
		text "\r\nHost: a\r\n\r\n", sizeof(text "\r\nHost: a\r\n\r\n") - 1, status         \
	}
#define FIELDS(text, status)                                                                       \
	{                                                                                          \
		"POST / HTTP/1.1\r\n" text "\r\n", sizeof("POST / HTTP/1.1\r\n" text "\r\n") - 1,  \
		    status                                                                         \
	}
#define CHUNKS(text, status) FIELDS("Host: a\r\nTransfer-Encoding: chunked\r\n\r\n" text, status)

static const struct trial lines[] = {
    LINE("GET / HTTP/1.1", 0),
    LINE("GET /\x7f HTTP/1.1", 400),
    LINE("GET /\xc3\xa9 HTTP/1.1", 400),
    LINE("GET /\0 HTTP/1.1", 400),
    LINE("GET /\t HTTP/1.1", 400),
    LINE("GET /a#b HTTP/1.1", 400),
    LINE("GET  / HTTP/1.1", 400),
    LINE("GET /  HTTP/1.1", 400),
    LINE("GET / HTTP/1.1 ", 400),
    LINE("GET\t/ HTTP/1.1", 400),
    LINE("GET /\tHTTP/1.1", 400),
    LINE(" GET / HTTP/1.1", 400),
    LINE("GET / a HTTP/1.1", 400),
    LINE("GET /\rHTTP/1.1", 400),
    LINE("GET / HTTP/1.1\r", 400),
    LINE("\rGET / HTTP/1.1", 400),
    LINE("GET", 400),
    LINE("GET /", 400),
    LINE("GET  HTTP/1.1", 400),
    LINE("GET / ", 400),
    LINE("GET / http/1.1", 400),
    LINE("GET / HTTP/1", 400),
    LINE("GET / HTTP/1.", 400),
    LINE("GET / HTTP/1.10", 400),
    LINE("GET / HTTP/01.1", 400),
    LINE("GET / HTTP/1,1", 400),
    LINE("GET / HTTP/+.1", 400),
    LINE("GET / HTTP/1.a", 400),
    LINE("GET / XTTP/1.1", 400),
    LINE("GET / HTTP/2.0", 505),
    LINE("GET / HTTP/0.9", 505),
    LINE("PRI * HTTP/2.0", 505),
    LINE("G(T / HTTP/1.1", 400),
    LINE("G\xc3T / HTTP/1.1", 400),
    LINE("G\0T / HTTP/1.1", 400),
    LINE("\"GET\" / HTTP/1.1", 400),
    LINE("get / HTTP/1.1", 0),
    LINE("!#$%&'*+-.^_`|~09 / HTTP/1.1", 0),
    LINE("GET * HTTP/1.1", 400),
    LINE("OPTIONS * HTTP/1.1", 0),
    LINE("OPTIONS *a HTTP/1.1", 400),
    LINE("GET a HTTP/1.1", 400),
    LINE("GET http://a/ HTTP/1.1", 400),
    LINE("GET ?a HTTP/1.1", 400),
    LINE("CONNECT a:80 HTTP/1.1", 501),
    LINE("CONNECT / HTTP/1.1", 501),
    LINE("GET //a/../b?c=[{|}]\\^\"<> HTTP/1.1", 0),
};

static const struct trial fields[] = {
    FIELDS("Host: a\r\n", 0),
    FIELDS("", 400),
    FIELDS("Host: a\r\nHost: a\r\n", 400),
    FIELDS("Host: a\r\nhost: b\r\n", 400),
    FIELDS("Host: a, b\r\n", 400),
    FIELDS("Host: a b\r\n", 400),
    FIELDS("Host: a/b\r\n", 400),
    FIELDS("Host: u@a\r\n", 400),
    FIELDS("Host: a:b\r\n", 400),
    FIELDS("Host: a:80:81\r\n", 400),
    FIELDS("Host: \xc3\xa9\r\n", 400),
    FIELDS("Host: [::1]\r\n", 0),
    FIELDS("Host: [::1\r\n", 400),
    FIELDS("Host: []\r\n", 400),
    FIELDS("Host: [::1]a\r\n", 400),
    FIELDS("Host: [::1]:\r\n", 0),
    FIELDS("Host: ::1\r\n", 400),
    FIELDS("Host:\r\n", 0),
    FIELDS("Host : a\r\n", 400),
    FIELDS("Host\t: a\r\n", 400),
    FIELDS(" Host: a\r\n", 400),
    FIELDS("\tHost: a\r\n", 400),
    FIELDS("Host: a\r\n b\r\n", 400),
    FIELDS("Host: a\r\n\tb: c\r\n", 400),
    FIELDS("Host: a\r\n \r\n", 400),
    FIELDS("Host: a\r\n:b\r\n", 400),
    FIELDS("Host: a\r\n: \r\n", 400),
    FIELDS("Host: a\r\nb\r\n", 400),
    FIELDS("Host: a\r\nb;c\r\n", 400),
    FIELDS("Host: a\r\nb c: d\r\n", 400),
    FIELDS("Host: a\r\nb\0: d\r\n", 400),
    FIELDS("Host: a\r\nb\xff: d\r\n", 400),
    FIELDS("Host: a\r\n(b): d\r\n", 400),
    FIELDS("Host: a\r\nb: c\0d\r\n", 400),
    FIELDS("Host: a\r\nb: c\x01\r\n", 400),
    FIELDS("Host: a\r\nb: c\x7f\r\n", 400),
    FIELDS("Host: a\r\nb: c\x0b\r\n", 400),
    FIELDS("Host: a\r\nb: \xff\xc3\td: \"e\r\n", 0),
    FIELDS("Host: a\r\nb: c\rd: e\r\n", 400),
    FIELDS("Host: a\r\nb: c\r\r\n", 400),
    FIELDS("Host: a\r\nb: c\n", 400),
    FIELDS("Host: a\n", 400),
    FIELDS("Host: a\r\n\n", 400),
    FIELDS("Host: a\nb: c\r\n", 400),
    FIELDS("Host: a\r\n\rb: c\r\n", 400),
    FIELDS("Host: a\r\nExpect: 200-ok\r\n", 417),
    FIELDS("Host: a\r\nExpect: 100-continue, 100-continue\r\n", 417),
};

/* Request smuggling: what another parser may take for another length. */
static const struct trial lengths[] = {
    FIELDS("Host: a\r\nContent-Length: 0\r\n", 0),
    FIELDS("Host: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n", 400),
    FIELDS("Host: a\r\nContent-Length: 0\r\ncontent-length: 5\r\n", 400),
    FIELDS("Host: a\r\nContent-Length: 0, 0\r\n", 400),
    FIELDS("Host: a\r\nContent-Length: +0\r\n", 400),
    FIELDS("Host: a\r\nContent-Length: -1\r\n", 400),
    FIELDS("Host: a\r\nContent-Length: 0x1\r\n", 400),
    FIELDS("Host: a\r\nContent-Length: 01\r\n", 400),
    FIELDS("Host: a\r\nContent-Length: 1 2\r\n", 400),
    FIELDS("Host: a\r\nContent-Length: 1.0\r\n", 400),
    FIELDS("Host: a\r\nContent-Length: 1e1\r\n", 400),
    FIELDS("Host: a\r\nContent-Length: 1;a\r\n", 400),
    FIELDS("Host: a\r\nContent-Length: \"1\"\r\n", 400),
    FIELDS("Host: a\r\nContent-Length: \xb2\r\n", 400),
    FIELDS("Host: a\r\nContent-Length:\r\n", 400),
    FIELDS("Host: a\r\nContent-Length : 1\r\n", 400),
    FIELDS("Host: a\r\n Content-Length: 1\r\n", 400),
    FIELDS("Host: a\r\nContent-Length: 1001\r\n", 413),
    FIELDS("Host: a\r\nContent-Length: 18446744073709551617\r\n", 413),
    FIELDS("Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
    FIELDS("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400),
    FIELDS("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
    FIELDS("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
    FIELDS("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400),
    FIELDS("Host: a\r\nTransfer-Encoding: identity\r\n", 501),
    FIELDS("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
    FIELDS("Host: a\r\nTransfer-Encoding: chunked, chunked\r\n", 501),
    FIELDS("Host: a\r\nTransfer-Encoding: chunked,\r\n", 501),
    FIELDS("Host: a\r\nTransfer-Encoding: xchunked\r\n", 501),
    FIELDS("Host: a\r\nTransfer-Encoding: \"chunked\"\r\n", 501),
    FIELDS("Host: a\r\nTransfer-Encoding: chunked;q=1\r\n", 501),
    FIELDS("Host: a\r\nTransfer-Encoding: \x0b"
	   "chunked\r\n",
	400),
    FIELDS("Host: a\r\nTransfer-Encoding: chunked\x0c\r\n", 400),
    FIELDS("Host: a\r\nTransfer-Encoding: chunked\0\r\n", 400),
    FIELDS("Host: a\r\nTransfer-Encoding:\r\n", 400),
    FIELDS("Host: a\r\nTransfer-Encoding : chunked\r\n", 400),
    FIELDS("Host: a\r\nTransfer-Encoding\r\n: chunked\r\n", 400),
    FIELDS("Host: a\r\nTransfer-Encoding:\r\n chunked\r\n", 400),
    FIELDS("Host: a\r\nX: y\nTransfer-Encoding: chunked\r\n", 400),
    FIELDS("Host: a\r\nTransfer_Encoding: chunked\r\n", 0),
    LINE("GET / HTTP/1.0\r\nTransfer-Encoding: chunked", 400),
};

static const struct trial chunks[] = {
    CHUNKS("0\r\n", 0),
    CHUNKS("1\r\na\r\n0\r\n", 0),
    CHUNKS("1;a\r\na\r\n0;b=\"c\"\r\n", 0),
    CHUNKS("00001\r\na\r\n00\r\n", 0),
    CHUNKS("\r\n", 400),
    CHUNKS(";a\r\n", 400),
    CHUNKS("g\r\n", 400),
    CHUNKS("0x1\r\na\r\n", 400),
    CHUNKS("+1\r\na\r\n", 400),
    CHUNKS("-1\r\n", 400),
    CHUNKS(" 1\r\na\r\n", 400),
    CHUNKS("1 \r\na\r\n", 400),
    CHUNKS("1 ;a\r\na\r\n", 400),
    CHUNKS("1\na\r\n0\r\n", 400),
    CHUNKS("1\ra\r\n0\r\n", 400),
    CHUNKS("1\r\na\n0\r\n", 400),
    CHUNKS("1\r\na\r0\r\n", 400),
    CHUNKS("1\r\nab\r\n0\r\n", 400),
    CHUNKS("1\r\na0\r\n", 400),
    CHUNKS("1\r\na\r\n\r\n0\r\n", 400),
    CHUNKS("1;a\nb\r\na\r\n0\r\n", 400),
    CHUNKS("1;a\rb\r\na\r\n0\r\n", 400),
    CHUNKS("1;a\0\r\na\r\n0\r\n", 400),
    CHUNKS("0\n", 400),
    CHUNKS("0\r\na: b\n", 400),
    CHUNKS("0\r\na: b\r\n c\r\n", 400),
    CHUNKS("0\r\na : b\r\n", 400),
    CHUNKS("0\r\nb\r\n", 400),
    CHUNKS("0\r\n\n", 400),
    CHUNKS("0\r\nContent-Length: x\r\n", 0),
    CHUNKS("3e9\r\n", 413),
    CHUNKS("10000000000000000\r\n", 413),
    CHUNKS("fffffffffffffffe\r\n", 413),
};

static void
try_all(const struct trial *trials, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(
		    judged((struct slice){trials[i].bytes, trials[i].len}) == trials[i].status,
		    "not %d: %s", trials[i].status, trials[i].bytes);
}

#define TRY(trials) try_all(trials, sizeof(trials) / sizeof(*(trials)))

START_TEST(invalid_request_lines_are_refused)
{
	TRY(lines);
}
END_TEST

START_TEST(invalid_fields_are_refused)
{
	TRY(fields);
}
END_TEST

START_TEST(ambiguous_lengths_are_refused)
{
	TRY(lengths);
}
END_TEST

START_TEST(invalid_chunks_are_refused)
{
	TRY(chunks);
}
END_TEST

START_TEST(other_protocols_are_recognized)
{
	ck_assert_ptr_nonnull(http_protocol.foreign("\x16\x03\x01\x02", 4));
	ck_assert_ptr_nonnull(http_protocol.foreign("*1\r\n$4\r\nPING\r\n", 14));
	ck_assert_ptr_null(http_protocol.foreign("GET / HTTP/1.1\r\n", 16));
	ck_assert_ptr_null(http_protocol.foreign("*", 1));
	ck_assert_ptr_null(http_protocol.foreign("PING\r\n", 6));
}
END_TEST

START_TEST(only_the_timeout_of_a_request_has_a_response)
{
	for (int i = 0; i < PROTOCOL_NOTICES; i++) {
		struct slice notice = http_protocol.notices[i];
		int status;

		if (i != PROTOCOL_REQUEST_TIMEOUT) {
			ck_assert_uint_eq(notice.len, 0);
			continue;
		}
		ck_assert_uint_eq(notice.len, strlen(notice.ptr));
		ck_assert_int_eq(sscanf(notice.ptr, "HTTP/1.1 %3d ", &status), 1);
		ck_assert_int_eq(status, 408);
		ck_assert_ptr_nonnull(
		    strstr(notice.ptr, "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
	}
}
END_TEST

int
main(void)
{
	return testing_main("http/protocol", NULL, NULL,
	    (const TTest *[]){invalid_request_lines_are_refused, invalid_fields_are_refused,
		ambiguous_lengths_are_refused, invalid_chunks_are_refused,
		other_protocols_are_recognized, only_the_timeout_of_a_request_has_a_response,
		NULL});
}
