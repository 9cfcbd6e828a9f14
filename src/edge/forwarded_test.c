#include "config.h"

#include "edge/forwarded.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "edge/edge_io.h"
#include "http/protocol.h"

/* Addresses are words here: those that begin with "p" are proxies, "?" is none. */

static bool
is_forwarder(void *arg, const char *address)
{
	(void)arg;
	return address[0] == 'p';
}

static bool
read_address(void *arg, struct slice text, struct edge_address *address)
{
	(void)arg;
	if (text.ptr[0] == '?' || text.len >= sizeof(address->text))
		return false;
	snprintf(address->text, sizeof(address->text), "%.*s", (int)text.len, text.ptr);
	return true;
}

static const struct edge_io io = {.is_forwarder = is_forwarder, .read_address = read_address};

/* The headers are pairs of name and value, with a NULL at the end. */
static const char *
client_of(const char *const *headers)
{
	static struct edge_address address;
	struct slice args[HTTP_FIELDS + 16] = {{"", 0}};
	size_t count = HTTP_FIELDS;

	for (; *headers != NULL; headers++)
		args[count++] = slice_of(*headers);
	switch (edge_forwarded_find(args, count, &io, &address)) {
	case EDGE_FORWARDED_KNOWN:
		return address.text;
	case EDGE_FORWARDED_UNKNOWN:
		return "unknown";
	default:
		return "none";
	}
}

static const char *
client_in(const char *value)
{
	return client_of((const char *const[]){"X-Forwarded-For", value, NULL});
}

START_TEST(the_last_address_that_is_not_a_proxy_is_the_client)
{
	ck_assert_str_eq(client_in("a"), "a");
	ck_assert_str_eq(client_in("a, b"), "b");
	ck_assert_str_eq(client_in("a,b,p1"), "b");
	ck_assert_str_eq(client_in("a, p1, b, p2,p3"), "b");
}
END_TEST

START_TEST(a_proxy_that_asks_itself_is_the_client)
{
	ck_assert_str_eq(client_in("p1"), "p1");
	ck_assert_str_eq(client_in("p1, p2, p3"), "p1");
}
END_TEST

START_TEST(what_is_no_address_makes_the_client_unknown)
{
	ck_assert_str_eq(client_in("?"), "unknown");
	ck_assert_str_eq(client_in("a, ?"), "unknown");
	ck_assert_str_eq(client_in("a, ?, p1"), "unknown");
}
END_TEST

START_TEST(what_stands_before_the_client_is_not_read)
{
	ck_assert_str_eq(client_in("?, a"), "a");
	ck_assert_str_eq(client_in("?, a, p1"), "a");
}
END_TEST

START_TEST(blanks_and_empty_elements_are_skipped)
{
	ck_assert_str_eq(client_in(" \ta\t "), "a");
	ck_assert_str_eq(client_in("a, , ,"), "a");
	ck_assert_str_eq(client_in(",,p1 ,"), "p1");
	ck_assert_str_eq(client_in(""), "none");
	ck_assert_str_eq(client_in(" , "), "none");
}
END_TEST

START_TEST(several_fields_are_one_list)
{
	ck_assert_str_eq(client_of((const char *const[]){
			     "X-Forwarded-For", "a", "Host", "h", "x-forwarded-for", "b", NULL}),
	    "b");
	ck_assert_str_eq(client_of((const char *const[]){
			     "X-Forwarded-For", "a, b", "X-FORWARDED-FOR", "p1, p2", NULL}),
	    "b");
	ck_assert_str_eq(
	    client_of((const char *const[]){"X-Forwarded-For", "?", "X-Forwarded-For", "", NULL}),
	    "unknown");
}
END_TEST

START_TEST(other_headers_name_no_client)
{
	ck_assert_str_eq(client_of((const char *const[]){NULL}), "none");
	ck_assert_str_eq(
	    client_of((const char *const[]){"Forwarded", "for=a", "X-Real-IP", "a", NULL}), "none");
}
END_TEST

START_TEST(a_list_of_too_many_proxies_is_not_read_to_its_end)
{
	char list[256] = "a";

	for (int i = 0; i < 31; i++)
		strcat(list, ",p");
	ck_assert_str_eq(client_in(list), "a");
	strcat(list, ",p");
	ck_assert_str_eq(client_in(list), "unknown");
}
END_TEST

int
main(void)
{
	return testing_main("edge/forwarded", NULL, NULL,
	    (const TTest *[]){the_last_address_that_is_not_a_proxy_is_the_client,
		a_proxy_that_asks_itself_is_the_client, what_is_no_address_makes_the_client_unknown,
		what_stands_before_the_client_is_not_read, blanks_and_empty_elements_are_skipped,
		several_fields_are_one_list, other_headers_name_no_client,
		a_list_of_too_many_proxies_is_not_read_to_its_end, NULL});
}
