#include "config.h"

#include "http/headers.h"

#include <check.h>

#include "base/testing.h"
#include "http/request.h"

#define ARGS(version, ...)                                                                         \
	(const struct slice[])                                                                     \
	{                                                                                          \
		SLICE("GET"), SLICE("/"), SLICE(version), SLICE(""), __VA_ARGS__                   \
	}
#define COUNT(fields) (HTTP_FIELDS + 2 * (size_t)(fields))

static void
expect_slice(struct slice s, const char *expected)
{
	ck_assert_msg(slice_is(s, expected), "%.*s, not %s", (int)s.len, s.ptr, expected);
}

START_TEST(field_is_found_by_its_name_in_any_case)
{
	const struct slice *args = ARGS("1.1", SLICE("Host"), SLICE("a"), SLICE("x-Y"), SLICE("b"),
	    SLICE("X-Y"), SLICE("c"), SLICE("Xy"), SLICE("x-y"));
	struct slice value;

	ck_assert_uint_eq(http_header(args, COUNT(4), "HOST", &value), 1);
	expect_slice(value, "a");
	ck_assert_uint_eq(http_header(args, COUNT(4), "X-Y", &value), 2);
	expect_slice(value, "b");
	ck_assert_uint_eq(http_header(args, COUNT(4), "X", &value), 0);
	expect_slice(value, "");
	ck_assert_uint_eq(http_header(args, COUNT(0), "Host", &value), 0);
}
END_TEST

START_TEST(elements_of_a_list_are_separated_by_commas_outside_of_quotes)
{
	struct slice list = SLICE(", a,\tb c ,,\"d,\\\",e\" ; f, g\\,h,\"i,j"), element;
	const char *expected[] = {"a", "b c", "\"d,\\\",e\" ; f", "g\\", "h", "\"i,j"};

	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		ck_assert(http_next_element(&list, &element));
		expect_slice(element, expected[i]);
	}
	ck_assert(!http_next_element(&list, &element));
	list = SLICE("\"a\\");
	ck_assert(http_next_element(&list, &element));
	expect_slice(element, "\"a\\");
	ck_assert(!http_next_element(&list, &element));
}
END_TEST

START_TEST(token_is_found_in_the_lists_of_all_fields_with_the_name)
{
	const struct slice *args = ARGS("1.1", SLICE("Connection"), SLICE("keep-alive, te"),
	    SLICE("Upgrade"), SLICE("websocket"), SLICE("connection"), SLICE("UPGRADE"));

	ck_assert(http_header_has(args, COUNT(3), "Connection", "upgrade"));
	ck_assert(http_header_has(args, COUNT(3), "Connection", "TE"));
	ck_assert(!http_header_has(args, COUNT(2), "Connection", "upgrade"));
	ck_assert(!http_header_has(args, COUNT(3), "Connection", "websocket"));
	ck_assert(http_list_has(SLICE("a, b"), "B"));
	ck_assert(!http_list_has(SLICE("a b"), "b"));
	ck_assert(!http_list_has(SLICE(""), ""));
}
END_TEST

START_TEST(cookie_is_found_by_its_exact_name)
{
	const struct slice *args =
	    ARGS("1.1", SLICE("Cookie"), SLICE("a=1; Token=x;tok=\"y z\" ; ;c"), SLICE("cookie"),
		SLICE("tok=second; e=f=g; q=\"; r=\"\""));
	struct slice value;

	ck_assert_uint_eq(http_cookie(args, COUNT(2), "a", &value), 1);
	expect_slice(value, "1");
	ck_assert_uint_eq(http_cookie(args, COUNT(2), "tok", &value), 2);
	expect_slice(value, "y z");
	ck_assert_uint_eq(http_cookie(args, COUNT(2), "e", &value), 1);
	expect_slice(value, "f=g");
	ck_assert_uint_eq(http_cookie(args, COUNT(2), "c", &value), 1);
	expect_slice(value, "");
	ck_assert_uint_eq(http_cookie(args, COUNT(2), "q", &value), 1);
	expect_slice(value, "\"");
	ck_assert_uint_eq(http_cookie(args, COUNT(2), "r", &value), 1);
	expect_slice(value, "");
	ck_assert_uint_eq(http_cookie(args, COUNT(2), "A", &value), 0);
	expect_slice(value, "");
}
END_TEST

START_TEST(media_type_is_without_parameters)
{
	expect_slice(http_media_type(SLICE("text/plain ;charset=utf-8")), "text/plain");
	expect_slice(http_media_type(SLICE("text/plain")), "text/plain");
	expect_slice(http_media_type(SLICE("")), "");
}
END_TEST

START_TEST(connection_persists_by_default_only_in_http_1_1)
{
	const struct slice *keep = ARGS("1.0", SLICE("Connection"), SLICE("Keep-Alive"));
	const struct slice *end = ARGS("1.1", SLICE("Connection"), SLICE("foo, Close"));
	const struct slice *both = ARGS("1.0", SLICE("Connection"), SLICE("keep-alive, close"));

	ck_assert(http_is_persistent(keep, COUNT(1)));
	ck_assert(!http_is_persistent(keep, COUNT(0)));
	ck_assert(!http_is_persistent(end, COUNT(1)));
	ck_assert(http_is_persistent(end, COUNT(0)));
	ck_assert(!http_is_persistent(both, COUNT(1)));
}
END_TEST

int
main(void)
{
	return testing_main("http/headers", NULL, NULL,
	    (const TTest *[]){field_is_found_by_its_name_in_any_case,
		elements_of_a_list_are_separated_by_commas_outside_of_quotes,
		token_is_found_in_the_lists_of_all_fields_with_the_name,
		cookie_is_found_by_its_exact_name, media_type_is_without_parameters,
		connection_persists_by_default_only_in_http_1_1, NULL});
}
