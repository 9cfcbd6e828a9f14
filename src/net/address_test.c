#include "config.h"

#include "net/address.h"

#include <check.h>

#include "base/testing.h"

/* The address as address_format() prints it; "" if it is refused. */
static const char *
parsed(const char *text)
{
	static char out[64];
	struct sockaddr_storage address;

	out[0] = '\0';
	if (address_parse(slice_of(text), &address))
		address_format((const struct sockaddr *)&address, out, sizeof(out));
	return out;
}

START_TEST(an_address_is_read_with_or_without_a_port)
{
	ck_assert_str_eq(parsed("192.0.2.7"), "192.0.2.7:0");
	ck_assert_str_eq(parsed("192.0.2.7:50412"), "192.0.2.7:50412");
	ck_assert_str_eq(parsed("2001:db8::7"), "[2001:db8::7]:0");
	ck_assert_str_eq(parsed("[2001:db8::7]"), "[2001:db8::7]:0");
	ck_assert_str_eq(parsed("[2001:db8::7]:65535"), "[2001:db8::7]:65535");
	ck_assert_str_eq(parsed("::1"), "[::1]:0");
}
END_TEST

START_TEST(a_mapped_address_is_one_of_ipv4)
{
	ck_assert_str_eq(parsed("::ffff:192.0.2.7"), "192.0.2.7:0");
	ck_assert_str_eq(parsed("[::ffff:192.0.2.7]:80"), "192.0.2.7:80");
}
END_TEST

START_TEST(anything_else_is_refused)
{
	const char *const wrong[] = {"", "a", "unknown", "_hidden", "192.0.2", "192.0.2.7.8",
	    "192.0.2.256", "192.0.2.7:", "192.0.2.7:x", "192.0.2.7:65536", "192.0.2.7:-1",
	    "192.0.2.0/24", "::1/128", "[::1", "::1]", "[]", "[]:80", "[::1]80",
	    "[::1]:", "[::1]:65536", "fe80::1%eth0", " 192.0.2.7", "192.0.2.7 ", ":80", "[", ":",
	    NULL};

	for (size_t i = 0; wrong[i] != NULL; i++)
		ck_assert_msg(parsed(wrong[i])[0] == '\0', "'%s' is accepted", wrong[i]);
}
END_TEST

START_TEST(a_text_with_a_null_byte_is_refused)
{
	struct sockaddr_storage address;

	ck_assert(!address_parse((struct slice){"::1\0", 4}, &address));
	ck_assert(!address_parse((struct slice){"1.2.3.4\0:5", 10}, &address));
}
END_TEST

int
main(void)
{
	return testing_main("net/address", NULL, NULL,
	    (const TTest *[]){an_address_is_read_with_or_without_a_port,
		a_mapped_address_is_one_of_ipv4, anything_else_is_refused,
		a_text_with_a_null_byte_is_refused, NULL});
}
