#include "config.h"

#include "http/response.h"

#include <check.h>

#include "base/testing.h"

static struct buffer out;

static void
teardown(void)
{
	buffer_release(&out);
}

static void
expect(const char *expected)
{
	buffer_append(&out, "", 1);
	ck_assert_str_eq(out.ptr, expected);
	buffer_clear(&out);
}

START_TEST(response_has_its_length)
{
	http_put_response(&out, &(struct http_response){.status = 200,
				    .keep_alive = true,
				    .extra = SLICE("A: b\r\n"),
				    .content_type = "text/plain",
				    .body = SLICE("hello")});
	expect("HTTP/1.1 200 OK\r\nA: b\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
	       "Connection: keep-alive\r\n\r\nhello");
	http_put_response(&out, &(struct http_response){.status = 404});
	expect("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}
END_TEST

START_TEST(response_to_head_has_the_length_of_the_body_and_no_body)
{
	http_put_response(
	    &out, &(struct http_response){.status = 200, .is_head = true, .body = SLICE("hello")});
	expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
}
END_TEST

START_TEST(response_without_content_has_no_length)
{
	http_put_response(&out, &(struct http_response){.status = 204, .keep_alive = true});
	expect("HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
}
END_TEST

START_TEST(header_value_cannot_add_a_line)
{
	http_put_header(&out, "A", SLICE("b\r\nC: \xff\t\0d\x7f"));
	expect("A: b  C: \xff\t d \r\n");
}
END_TEST

START_TEST(error_is_answered_and_ends_the_connection)
{
	http_put_error(&out, "431 request head too large");
	expect("HTTP/1.1 431 Request Header Fields Too Large\r\n"
	       "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 27\r\n"
	       "Connection: close\r\n\r\n431 request head too large\n");
	http_put_error(&out, "no");
	ck_assert(slice_is((struct slice){out.ptr, 12}, "HTTP/1.1 400"));
}
END_TEST

START_TEST(unknown_status_has_a_phrase)
{
	http_put_status(&out, 299);
	expect("HTTP/1.1 299 Unknown\r\n");
	ck_assert_str_eq(http_reason(101), "Switching Protocols");
}
END_TEST

int
main(void)
{
	return testing_main("http/response", NULL, teardown,
	    (const TTest *[]){response_has_its_length,
		response_to_head_has_the_length_of_the_body_and_no_body,
		response_without_content_has_no_length, header_value_cannot_add_a_line,
		error_is_answered_and_ends_the_connection, unknown_status_has_a_phrase, NULL});
}
