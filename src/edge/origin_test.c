#include "config.h"

#include "edge/origin.h"

#include <check.h>

#include "base/testing.h"

static char app_origin[] = "https://app.example.com", local_origin[] = "http://localhost:3000",
	    ipv6_origin[] = "https://[::1]:8443", star[] = "*";
static char *items[] = {app_origin, local_origin, ipv6_origin};
static const struct edge_strings listed = {items, 3};
static const struct edge_strings none = {NULL, 0};

static enum edge_origin
judge(const struct edge_strings *allowed, const char *origin, const char *host)
{
	return edge_judge_origin(allowed, slice_of(origin), slice_of(host));
}

START_TEST(a_request_without_an_origin_names_none)
{
	ck_assert_int_eq(judge(&none, "", "x"), EDGE_ORIGIN_NONE);
}
END_TEST

START_TEST(the_same_host_and_port_are_the_same_origin)
{
	ck_assert_int_eq(judge(&none, "http://a.example", "a.example"), EDGE_ORIGIN_SAME);
	ck_assert_int_eq(judge(&none, "http://A.example:80", "a.EXAMPLE"), EDGE_ORIGIN_SAME);
	ck_assert_int_eq(judge(&none, "https://a.example", "a.example:443"), EDGE_ORIGIN_SAME);
	ck_assert_int_eq(judge(&none, "http://[::1]:8000", "[::1]:8000"), EDGE_ORIGIN_SAME);
}
END_TEST

START_TEST(another_port_is_another_origin)
{
	ck_assert_int_eq(judge(&none, "http://a.example:8000", "a.example"), EDGE_ORIGIN_DENIED);
	ck_assert_int_eq(judge(&none, "http://a.example", "a.example:8000"), EDGE_ORIGIN_DENIED);
	ck_assert_int_eq(judge(&none, "http://a.example:443", "a.example"), EDGE_ORIGIN_DENIED);
}
END_TEST

START_TEST(a_listed_origin_is_compared_as_a_whole)
{
	ck_assert_int_eq(judge(&listed, "https://app.example.com", "x"), EDGE_ORIGIN_LISTED);
	ck_assert_int_eq(judge(&listed, "https://app.example.com:443", "x"), EDGE_ORIGIN_LISTED);
	ck_assert_int_eq(judge(&listed, "http://localhost:3000", "x"), EDGE_ORIGIN_LISTED);
	ck_assert_int_eq(judge(&listed, "https://[::1]:8443", "x"), EDGE_ORIGIN_LISTED);
	ck_assert_int_eq(judge(&listed, "http://app.example.com", "x"), EDGE_ORIGIN_DENIED);
	ck_assert_int_eq(judge(&listed, "https://evil-app.example.com", "x"), EDGE_ORIGIN_DENIED);
	ck_assert_int_eq(judge(&listed, "https://app.example.com.evil", "x"), EDGE_ORIGIN_DENIED);
	ck_assert_int_eq(judge(&listed, "https://app.example.com:8443", "x"), EDGE_ORIGIN_DENIED);
	ck_assert_int_eq(judge(&listed, "http://localhost", "x"), EDGE_ORIGIN_DENIED);
}
END_TEST

START_TEST(a_malformed_or_opaque_origin_is_denied)
{
	const char *const wrong[] = {"null", "http://", "://a", "a.example", "http://a/b",
	    "http://a:", "http://a:x", "http://a:123456", "http://[::1", "http://u@a", NULL};

	for (size_t i = 0; wrong[i] != NULL; i++) {
		ck_assert_int_eq(judge(&listed, wrong[i], "a"), EDGE_ORIGIN_DENIED);
		ck_assert(!edge_origin_is_valid(slice_of(wrong[i])));
	}
}
END_TEST

START_TEST(a_star_allows_all_that_is_not_listed)
{
	char *any[] = {app_origin, star};
	const struct edge_strings allowed = {any, 2};

	ck_assert_int_eq(judge(&allowed, "https://app.example.com", "x"), EDGE_ORIGIN_LISTED);
	ck_assert_int_eq(judge(&allowed, "https://other.example", "x"), EDGE_ORIGIN_ANY);
	ck_assert_int_eq(judge(&allowed, "null", "x"), EDGE_ORIGIN_ANY);
}
END_TEST

START_TEST(a_star_and_whole_origins_may_be_listed)
{
	ck_assert(edge_origin_is_valid(SLICE("*")));
	ck_assert(edge_origin_is_valid(SLICE("https://a.example:8443")));
	ck_assert(!edge_origin_is_valid(SLICE("https://a.example/")));
	ck_assert(!edge_origin_is_valid(SLICE("*.example.com")));
}
END_TEST

int
main(void)
{
	return testing_main("edge/origin", NULL, NULL,
	    (const TTest *[]){a_request_without_an_origin_names_none,
		the_same_host_and_port_are_the_same_origin, another_port_is_another_origin,
		a_listed_origin_is_compared_as_a_whole, a_malformed_or_opaque_origin_is_denied,
		a_star_allows_all_that_is_not_listed, a_star_and_whole_origins_may_be_listed,
		NULL});
}
