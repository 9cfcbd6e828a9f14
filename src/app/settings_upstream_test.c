#include "config.h"

#include "app/settings.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "app/config_file.h"
#include "app/config_source.h"
#include "app/setting_fault.h"
#include "app/setting_upstream.h"
#include "app/testing_settings.h"
#include "base/alloc.h"
#include "base/testing.h"

/* The settings of the link to another server. */

#define ALLOWED                                                                                    \
	"; allowed is redis://[user[:password]@]host[:port], or rediss:// with the same (TLS), "   \
	"at most 4095 bytes"

static struct settings s;
static struct buffer out;

static void
setup(void)
{
	settings_init(&s);
}

static void
teardown(void)
{
	settings_release(&s);
	buffer_release(&out);
}

static enum setting_fault
set(const char *name, const char *value)
{
	struct slice given = slice_of(value);

	return settings_set(&s, testing_setting(name), &given, 1);
}

START_TEST(without_a_directive_there_is_no_upstream)
{
	ck_assert_str_eq(s.upstream.url, "");
	ck_assert_int_eq(s.upstream.mode, UPSTREAM_LEAF);
	ck_assert_int_eq(s.upstream.down, UPSTREAM_DOWN_REFUSE);
	ck_assert_uint_eq(s.upstream.linger_s, 60);
	ck_assert_uint_eq(s.upstream.output_bytes, 64 << 20);
	ck_assert_uint_eq(s.upstream.probe_s, 10);
	ck_assert_str_eq(s.upstream.tls.name, "");
}
END_TEST

START_TEST(each_number_has_its_range)
{
	static const struct {
		const char *name, *low, *high, *below, *above;
	} rows[] = {
	    {"upstream-linger", "0", "86400", "-1", "86401"},
	    {"upstream-output-limit", "1mb", "64gb", "1023kb", "65gb"},
	    {"upstream-probe", "1", "3600", "0", "3601"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		ck_assert_int_eq(set(rows[i].name, rows[i].low), SETTING_OK);
		ck_assert_int_eq(set(rows[i].name, rows[i].high), SETTING_OK);
		ck_assert_int_eq(set(rows[i].name, rows[i].below), SETTING_BAD_RANGE);
		ck_assert_int_eq(set(rows[i].name, rows[i].above), SETTING_BAD_RANGE);
	}
	ck_assert_uint_eq(s.upstream.linger_s, 86400);
	ck_assert_uint_eq(s.upstream.output_bytes, (uint64_t)64 << 30);
	ck_assert_uint_eq(s.upstream.probe_s, 3600);
}
END_TEST

START_TEST(a_mode_and_a_behaviour_without_link_are_chosen_by_name)
{
	ck_assert_int_eq(set("upstream-mode", "leaf"), SETTING_OK);
	ck_assert_int_eq(set("upstream-mode", "engine"), SETTING_OK);
	ck_assert_int_eq(s.upstream.mode, UPSTREAM_ENGINE);
	ck_assert_int_eq(set("upstream-mode", "cluster"), SETTING_OK);
	ck_assert_int_eq(set("upstream-mode", "shard"), SETTING_BAD_CHOICE);
	ck_assert_int_eq(set("upstream-down", "local"), SETTING_OK);
	ck_assert_int_eq(s.upstream.down, UPSTREAM_DOWN_LOCAL);
	ck_assert_int_eq(set("upstream-down", "wait"), SETTING_BAD_CHOICE);
}
END_TEST

START_TEST(only_the_url_and_tls_need_a_restart)
{
	static const char *const live[] = {
	    "upstream-down", "upstream-linger", "upstream-output-limit", "upstream-probe"};
	size_t live_count = 0, all = 0;

	for (size_t i = 0; i < settings_count(); i++)
		if (strncmp(settings_row(i)->name, "upstream", strlen("upstream")) == 0) {
			all++;
			live_count += settings_row(i)->change == SETTING_LIVE;
		}
	for (size_t i = 0; i < sizeof(live) / sizeof(*live); i++)
		ck_assert_int_eq(testing_setting(live[i])->change, SETTING_LIVE);
	ck_assert_uint_eq(live_count, sizeof(live) / sizeof(*live));
	ck_assert_uint_eq(all, 11);
}
END_TEST

START_TEST(a_url_is_kept_shown_and_written_as_it_was_given)
{
	static const char *const urls[] = {"redis://h", "redis://h/", "redis://h/0",
	    "redis://ann:s3cret@h:7000", "rediss://u:a b @h", "redis://ann@h",
	    "rediss://:%2Fp%20@[::1]:1", "REDISS://h", ""};
	struct settings copy;

	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		ck_assert_msg(set("upstream", urls[i]) == SETTING_OK, "%s", urls[i]);
		ck_assert_str_eq(s.upstream.url, urls[i]);
		ck_assert_str_eq(testing_shown(&s, "upstream", &out), urls[i]);
	}
	ck_assert_str_eq(testing_written(&s, "upstream", &out), "upstream \"\"");
	ck_assert_int_eq(set("upstream", "redis://:a#b\"c@h"), SETTING_OK);
	ck_assert_str_eq(testing_written(&s, "upstream", &out), "upstream \"redis://:a#b\\\"c@h\"");
	settings_copy(&copy, &s);
	ck_assert_str_eq(copy.upstream.url, s.upstream.url);
	ck_assert_ptr_ne(copy.upstream.url, s.upstream.url);
	settings_release(&copy);
}
END_TEST

START_TEST(a_url_that_is_refused_is_explained_without_its_password)
{
	static const char *const cases[][2] = {
	    {"h:6379", "the URL does not start with redis:// or rediss://"},
	    {"unix:///run/s3cret.sock", "the URL does not start with redis:// or rediss://"},
	    {"http://u:s3cret@h", "the URL does not start with redis:// or rediss://"},
	    {"redis://u:s3cret@", "the URL has no host"},
	    {"redis://:7000", "the URL has no host"},
	    {"redis://u:s3cret@h/1",
		"the URL names a database, but all databases share the channels"},
	    {"redis://u:s3cret@h/x", "only /database, a number, may follow the host of a URL"},
	    {"redis://u:s3cret@h:0", "the port of a URL is a number from 1 to 65535"},
	    {"redis://u:s3cret%00@h",
		"a % in a URL must be followed by two hexadecimal digits other than 00"},
	    {"rediss://u:s3cret@h?x",
		"a URL must not contain ? or # (in a name write %3F and %23)"},
	    {"redis://u:s3cret@::1", "an IPv6 address in a URL is written in brackets: [address]"},
	};

	ck_assert_int_eq(set("upstream", "redis://kept"), SETTING_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct slice given = slice_of(cases[i][0]);
		char expected[400];

		ck_assert_msg(set("upstream", cases[i][0]) == SETTING_BAD_URL, "%s", cases[i][0]);
		ck_assert_str_eq(s.upstream.url, "redis://kept");
		snprintf(expected, sizeof(expected), "this is no value for upstream: %s" ALLOWED,
		    cases[i][1]);
		buffer_clear(&out);
		setting_explain_fault(
		    testing_setting("upstream"), SETTING_BAD_URL, &given, 1, &out);
		ck_assert_str_eq(testing_text(&out), expected);
	}
}
END_TEST

START_TEST(a_file_with_a_url_that_is_refused_is_an_error_of_its_line)
{
	ck_assert(!config_read_bytes(SLICE("port 0\nupstream redis://u:s3cret@h/2\n"), "x.conf",
	    CONFIG_NO_INCLUDE, config_source_apply, &s, &out));
	ck_assert_str_eq(testing_text(&out),
	    "x.conf:2: this is no value for upstream: the URL names a database, but all databases "
	    "share the channels" ALLOWED);
	buffer_clear(&out);
	ck_assert(!config_read_bytes(SLICE("upstream redis://u:s3cret@h redis://i\n"), "x.conf",
	    CONFIG_NO_INCLUDE, config_source_apply, &s, &out));
	ck_assert_ptr_nonnull(strstr(testing_text(&out), "x.conf:1: upstream takes one value"));
	ck_assert_ptr_null(strstr(testing_text(&out), "s3cret"));
}
END_TEST

START_TEST(the_parser_gives_a_host_and_no_database)
{
	const char *error = NULL;
	struct redis_url url;

	ck_assert(setting_upstream_parse(&url, "rediss://ann:s3cret@h:7000/0", &error));
	ck_assert_str_eq(url.host, "h");
	ck_assert_uint_eq(url.port, 7000);
	ck_assert_str_eq(url.password, "s3cret");
	ck_assert(url.is_tls);
	redis_url_release(&url);
	ck_assert(!setting_upstream_parse(&url, "", &error));
	ck_assert_ptr_nonnull(error);
}
END_TEST

static void
assert_disagrees(const char *name, const char *text)
{
	const char *blamed = NULL;

	buffer_clear(&out);
	ck_assert(!settings_agree(&s, &blamed, &out));
	ck_assert_str_eq(blamed, name);
	ck_assert_str_eq(testing_text(&out), text);
}

START_TEST(directives_of_tls_need_a_url_of_tls)
{
	static const char *const names[] = {"upstream-tls-ca-cert-file", "upstream-tls-ca-cert-dir",
	    "upstream-tls-cert-file", "upstream-tls-name"};
	static const char *const urls[] = {"", "redis://h"};
	const char *blamed = NULL;
	char text[100];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		ck_assert_int_eq(set(names[i], "x"), SETTING_OK);
		snprintf(
		    text, sizeof(text), "%s is set, but upstream is not a rediss:// URL", names[i]);
		for (size_t j = 0; j < sizeof(urls) / sizeof(*urls); j++) {
			ck_assert_int_eq(set("upstream", urls[j]), SETTING_OK);
			assert_disagrees(names[i], text);
		}
		ck_assert_int_eq(set("upstream", "Rediss://h"), SETTING_OK);
		ck_assert(settings_agree(&s, &blamed, &out));
		ck_assert_int_eq(set(names[i], ""), SETTING_OK);
	}
}
END_TEST

START_TEST(a_key_needs_its_certificate)
{
	const char *blamed = NULL;

	ck_assert_int_eq(set("upstream", "rediss://h"), SETTING_OK);
	ck_assert_int_eq(set("upstream-tls-key-file", "key.pem"), SETTING_OK);
	assert_disagrees("upstream-tls-key-file",
	    "upstream-tls-key-file is set, but upstream-tls-cert-file is not");
	ck_assert_int_eq(set("upstream-tls-cert-file", "cert.pem"), SETTING_OK);
	ck_assert(settings_agree(&s, &blamed, &out));
}
END_TEST

START_TEST(several_urls_name_nodes_of_a_cluster)
{
	static const char *const wrong[] = {"redis://a rediss://b", "redis://:x@a redis://:y@b",
	    "redis://a redis://u@b", "redis://a b", "redis://a redis://b/1", " "};
	const char *blamed = NULL, *rest;
	char *word;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		ck_assert_msg(set("upstream", wrong[i]) == SETTING_BAD_URL, "%s", wrong[i]);
	ck_assert_int_eq(set("upstream", "redis://u:x@a:1  redis://b redis://u:x@c "), SETTING_OK);
	assert_disagrees(
	    "upstream", "upstream names several servers, but upstream-mode is not cluster");
	ck_assert_int_eq(set("upstream-mode", "cluster"), SETTING_OK);
	ck_assert(settings_agree(&s, &blamed, &out));
	rest = s.upstream.url;
	for (int i = 0; i < 3; i++) {
		word = setting_upstream_next(&rest);
		ck_assert_ptr_nonnull(word);
		ck_assert_int_eq(strncmp(word, "redis://", 8), 0);
		xfree(word);
	}
	ck_assert_ptr_null(setting_upstream_next(&rest));
}
END_TEST

int
main(void)
{
	return testing_main("app/settings_upstream", setup, teardown,
	    (const TTest *[]){without_a_directive_there_is_no_upstream, each_number_has_its_range,
		a_mode_and_a_behaviour_without_link_are_chosen_by_name,
		only_the_url_and_tls_need_a_restart,
		a_url_is_kept_shown_and_written_as_it_was_given,
		a_url_that_is_refused_is_explained_without_its_password,
		a_file_with_a_url_that_is_refused_is_an_error_of_its_line,
		the_parser_gives_a_host_and_no_database, directives_of_tls_need_a_url_of_tls,
		a_key_needs_its_certificate, several_urls_name_nodes_of_a_cluster, NULL});
}
