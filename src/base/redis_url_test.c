#include "config.h"

#include "base/redis_url.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/testing.h"

static struct redis_url u;
static const char *error;

static void
setup(void)
{
	u = (struct redis_url){0};
	error = NULL;
}

static void
teardown(void)
{
	redis_url_release(&u);
}

static void
parse(const char *text)
{
	redis_url_release(&u);
	ck_assert_msg(redis_url_parse(&u, text, &error), "%s: %s", text, error);
}

/* What is kept must not change. */
static void
refuse(const char *text, const char *about)
{
	error = NULL;
	ck_assert_msg(!redis_url_parse(&u, text, &error), "%s", text);
	ck_assert_ptr_nonnull(error);
	ck_assert_msg(strstr(error, about) != NULL, "%s: %s", text, error);
	ck_assert_str_eq(u.host, "kept");
}

START_TEST(a_url_without_more_has_the_default_port_and_no_host)
{
	parse("redis://");
	ck_assert_ptr_null(u.host);
	ck_assert_uint_eq(u.port, 6379);
	ck_assert_ptr_null(u.socket_path);
	ck_assert_ptr_null(u.user);
	ck_assert_ptr_null(u.password);
	ck_assert_uint_eq(u.database, 0);
	ck_assert(!u.is_tls);
	parse("redis://:7000/2");
	ck_assert_ptr_null(u.host);
	ck_assert_uint_eq(u.port, 7000);
	ck_assert_uint_eq(u.database, 2);
	parse("redis://ann:pw@");
	ck_assert_ptr_null(u.host);
	ck_assert_str_eq(u.user, "ann");
	parse("redis://[]");
	ck_assert_ptr_null(u.host);
}
END_TEST

START_TEST(every_part_of_a_url_is_read)
{
	parse("redis://ann:s3cret@db.example.org:7000/3");
	ck_assert_str_eq(u.host, "db.example.org");
	ck_assert_uint_eq(u.port, 7000);
	ck_assert_str_eq(u.user, "ann");
	ck_assert_str_eq(u.password, "s3cret");
	ck_assert_uint_eq(u.database, 3);
	parse("redis://example.org/");
	ck_assert_str_eq(u.host, "example.org");
	ck_assert_uint_eq(u.database, 0);
}
END_TEST

START_TEST(the_scheme_is_in_any_case_and_rediss_is_tls)
{
	parse("REDIS://h");
	ck_assert(!u.is_tls);
	parse("Rediss://ann:s3cret@h:7000/3");
	ck_assert(u.is_tls);
	ck_assert_str_eq(u.host, "h");
	ck_assert_str_eq(u.password, "s3cret");
	ck_assert_uint_eq(u.database, 3);
	parse("UNIX:///a.sock");
	ck_assert(!u.is_tls);
	ck_assert_str_eq(u.socket_path, "/a.sock");
}
END_TEST

START_TEST(a_password_needs_no_user_and_may_be_empty)
{
	parse("redis://:s3cret@h");
	ck_assert_ptr_null(u.user);
	ck_assert_str_eq(u.password, "s3cret");
	parse("redis://ann@h");
	ck_assert_str_eq(u.user, "ann");
	ck_assert_ptr_null(u.password);
	parse("redis://ann:@h");
	ck_assert_str_eq(u.password, "");
	parse("redis://@h");
	ck_assert_ptr_null(u.user);
	ck_assert_ptr_null(u.password);
}
END_TEST

START_TEST(names_are_percent_decoded)
{
	parse("redis://a%3ab:%2F%40%3A%25%FF%01@h%2e%6F");
	ck_assert_str_eq(u.user, "a:b");
	ck_assert_str_eq(u.password, "/@:%\xff\x01");
	ck_assert_str_eq(u.host, "h.o");
	parse("redis://u:p@ss:w@h");
	ck_assert_str_eq(u.password, "p@ss:w");
	ck_assert_str_eq(u.host, "h");
}
END_TEST

START_TEST(a_percent_without_two_digits_or_with_00_is_refused)
{
	static const char *const bad[] = {"redis://%@h", "redis://%4@h", "redis://%g0@h",
	    "redis://%0g@h", "redis://u:%zz@h", "redis://u:a%00b@h", "redis://%00@h", "redis://h%",
	    "redis://h%2", "redis://h%00", "redis://[::1%]", "unix:///a%0", "unix:///a%00",
	    "unix://u:%@/a"};

	parse("redis://kept");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse(bad[i], "two hexadecimal digits other than 00");
}
END_TEST

START_TEST(an_ipv6_address_stands_in_brackets)
{
	parse("redis://[::1]");
	ck_assert_str_eq(u.host, "::1");
	ck_assert_uint_eq(u.port, 6379);
	parse("redis://u:p@[fe80::1%25eth0]:6380/1");
	ck_assert_str_eq(u.host, "fe80::1%eth0");
	ck_assert_uint_eq(u.port, 6380);
	ck_assert_uint_eq(u.database, 1);
	redis_url_release(&u);
	parse("redis://kept");
	refuse("redis://::1", "in brackets");
	refuse("redis://h:1:2", "in brackets");
	refuse("redis://[::1", "[address]:port");
	refuse("redis://[::1]x", "[address]:port");
	refuse("redis://[::1]6379", "[address]:port");
	refuse("redis://[::1]:", "1 to 65535");
}
END_TEST

START_TEST(a_port_is_from_1_to_65535)
{
	static const char *const bad[] = {"redis://h:", "redis://h:0", "redis://h:65536",
	    "redis://h:-1", "redis://h:+1", "redis://h:6379x", "redis://h:06379", "redis://h: 1",
	    "redis://h:18446744073709551617", "redis://[::1]:0", "redis://[::1]:99999",
	    "redis://:0"};

	parse("redis://h:1");
	ck_assert_uint_eq(u.port, 1);
	parse("redis://h:65535");
	ck_assert_uint_eq(u.port, 65535);
	parse("redis://kept");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse(bad[i], "1 to 65535");
}
END_TEST

START_TEST(only_a_number_follows_the_host)
{
	static const char *const bad[] = {"redis://h/x", "redis://h/1/2", "redis://h/-1",
	    "redis://h//", "redis://h/01", "redis://h/2147483648", "redis://h/99999999999999999999",
	    "redis://h/1?x"};

	parse("redis://h/2147483647");
	ck_assert_uint_eq(u.database, 2147483647);
	parse("redis://kept");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse(bad[i], "/database");
}
END_TEST

START_TEST(a_query_and_a_fragment_are_refused)
{
	parse("redis://kept");
	refuse("redis://h?db=1", "? or #");
	refuse("redis://h:1?db=1", "? or #");
	refuse("redis://h#x", "? or #");
	refuse("unix:///a?db=1", "? or #");
	refuse("unix:///a#x", "? or #");
	parse("redis://a?b:c#d@h");
	ck_assert_str_eq(u.user, "a?b");
	ck_assert_str_eq(u.password, "c#d");
}
END_TEST

START_TEST(a_unix_url_names_a_path)
{
	parse("unix:///run/fan%20fare.sock");
	ck_assert_str_eq(u.socket_path, "/run/fan fare.sock");
	ck_assert_ptr_null(u.host);
	parse("unix://ann:pw@/run/f.sock");
	ck_assert_str_eq(u.socket_path, "/run/f.sock");
	ck_assert_str_eq(u.user, "ann");
	ck_assert_str_eq(u.password, "pw");
	parse("redis://kept");
	refuse("unix://", "unix:///path");
	refuse("unix:///", "unix:///path");
	refuse("unix://run", "unix:///path");
	refuse("unix://run/f.sock", "no host");
	refuse("unix://u@run/f.sock", "no host");
}
END_TEST

START_TEST(any_other_scheme_is_refused)
{
	static const char *const bad[] = {"", "h", "h:6379", "http://h", "redis",
	    "redis:", "redis:/h", "rediss:/h", "redisss://h", " redis://h", "unix:", "unix:/a",
	    "://h"};

	parse("redis://kept");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse(bad[i], "redis://, rediss:// (TLS) or unix://");
}
END_TEST

/* Returns owned: head, then 64 KiB of the byte, then tail. */
static char *
long_text(const char *head, char byte, const char *tail)
{
	const size_t len = (size_t)64 << 10;
	size_t before = strlen(head);
	char *text = xmalloc(before + len + strlen(tail) + 1);

	memcpy(text, head, before);
	memset(text + before, byte, len);
	memcpy(text + before + len, tail, strlen(tail) + 1);
	return text;
}

START_TEST(a_text_of_64_kib_is_read_like_a_short_one)
{
	char *text = long_text("redis://u:", 'p', "@h:7000");

	parse(text);
	ck_assert_uint_eq(strlen(u.password), 64 << 10);
	ck_assert_str_eq(u.host, "h");
	ck_assert_uint_eq(u.port, 7000);
	xfree(text);
	parse("redis://kept");
	text = long_text("redis://h:", '1', "");
	refuse(text, "1 to 65535");
	xfree(text);
	text = long_text("redis://h/", '9', "");
	refuse(text, "/database");
	xfree(text);
	text = long_text("redis://", '%', "@h");
	refuse(text, "hexadecimal");
	xfree(text);
	text = long_text("redis://", ':', "");
	refuse(text, "in brackets");
	xfree(text);
	text = long_text("", '/', "");
	refuse(text, "redis://");
	xfree(text);
}
END_TEST

START_TEST(a_url_is_described_without_its_password)
{
	static const char *const cases[][2] = {{"redis://u:p@h:1", "h:1"},
	    {"redis://u:p@[::1]", "[::1]:6379"}, {"unix://u:p@/a/b", "/a/b"},
	    {"rediss://:p@", "127.0.0.1:6379"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buffer out = {0};

		parse(cases[i][0]);
		redis_url_describe(&u, &out);
		ck_assert(slice_is(buffer_slice(&out), cases[i][1]));
		buffer_release(&out);
	}
}
END_TEST

int
main(void)
{
	return testing_main("base/redis_url", setup, teardown,
	    (const TTest *[]){a_url_without_more_has_the_default_port_and_no_host,
		every_part_of_a_url_is_read, the_scheme_is_in_any_case_and_rediss_is_tls,
		a_password_needs_no_user_and_may_be_empty, names_are_percent_decoded,
		a_percent_without_two_digits_or_with_00_is_refused,
		an_ipv6_address_stands_in_brackets, a_port_is_from_1_to_65535,
		only_a_number_follows_the_host, a_query_and_a_fragment_are_refused,
		a_unix_url_names_a_path, any_other_scheme_is_refused,
		a_text_of_64_kib_is_read_like_a_short_one, a_url_is_described_without_its_password,
		NULL});
}
