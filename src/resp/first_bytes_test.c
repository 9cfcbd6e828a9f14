#include "config.h"

#include "resp/first_bytes.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

static const char *
fault_of(const char *text)
{
	return resp_foreign_protocol(text, strlen(text));
}

START_TEST(a_tls_hello_is_told_from_a_command)
{
	static const char hello[] = {22, 3, 1, 2, 0, 1, 0};

	ck_assert_str_eq(resp_foreign_protocol(hello, sizeof(hello)),
	    "TLS handshake on a plain port; use tls-port");
	for (size_t len = 0; len < 3; len++)
		ck_assert_ptr_null(resp_foreign_protocol(hello, len));
	ck_assert_ptr_null(fault_of("\x16\x04\x01"));
}
END_TEST

START_TEST(an_http_request_is_told_from_a_command)
{
	static const char *const requests[] = {
	    "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /x?y=z HTTP/1.0\n", "PRI * HTTP/2.0\r\n"};
	static const char *const commands[] = {"", "\n", "\r\n", "GET HTTP/1.1", "GET / HTTP/1.",
	    "PING\r\n", "PUBLISH x HTTP/1.1\r\n", "SET x HTTP/1.1\n", "GET \r\n",
	    "*1\r\n$4\r\nPING\r\n", " HTTP/1.1\r\n", "publish a b HTTP/1.1\r\n", "H\nHTTP/1.1\n"};

	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++)
		ck_assert_str_eq(fault_of(requests[i]), "HTTP request on a RESP port");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		ck_assert_msg(fault_of(commands[i]) == NULL, "%s", commands[i]);
}
END_TEST

int
main(void)
{
	return testing_main("resp/first_bytes", NULL, NULL,
	    (const TTest *[]){
		a_tls_hello_is_told_from_a_command, an_http_request_is_told_from_a_command, NULL});
}
