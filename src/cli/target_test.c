#include "config.h"

#include "cli/target.h"

#include <string.h>

#include "base/testing.h"

static struct target t;
static const char *error;

static void
setup(void)
{
	t = (struct target){0};
	error = NULL;
}

static void
teardown(void)
{
	target_release(&t);
}

static void
choose(struct target_choice choice)
{
	target_release(&t);
	ck_assert_msg(target_choose(&t, &choice, &error), "%s", error);
}

START_TEST(every_part_of_a_url_is_taken_and_missing_parts_have_defaults)
{
	choose((struct target_choice){.url = "redis://ann:s3cret@db.example.org:7000/3"});
	ck_assert_str_eq(t.host, "db.example.org");
	ck_assert_uint_eq(t.port, 7000);
	ck_assert_str_eq(t.user, "ann");
	ck_assert_str_eq(t.password, "s3cret");
	ck_assert_uint_eq(t.database, 3);
	choose((struct target_choice){.url = "unix://ann:pw@/run/f.sock"});
	ck_assert_str_eq(t.socket_path, "/run/f.sock");
	ck_assert_str_eq(t.user, "ann");
	ck_assert_str_eq(t.password, "pw");
	choose((struct target_choice){.url = "redis://"});
	ck_assert_str_eq(t.host, "127.0.0.1");
	ck_assert_uint_eq(t.port, 6379);
	ck_assert_ptr_null(t.user);
	ck_assert_ptr_null(t.password);
	ck_assert_uint_eq(t.database, 0);
}
END_TEST

START_TEST(a_bad_url_is_refused_and_nothing_changes)
{
	static const char *const bad[] = {
	    "", "h", "http://h", "redis://h:0", "unix://", "redis://h?x"};

	choose((struct target_choice){.url = "redis://kept"});
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error = NULL;
		ck_assert_msg(!target_choose(&t, &(struct target_choice){.url = bad[i]}, &error),
		    "%s", bad[i]);
		ck_assert_ptr_nonnull(error);
		ck_assert_str_eq(t.host, "kept");
	}
}
END_TEST

START_TEST(a_rediss_url_asks_for_tls)
{
	choose((struct target_choice){.url = "rediss://ann:s3cret@db.example.org:7000/3"});
	ck_assert_str_eq(t.host, "db.example.org");
	ck_assert_uint_eq(t.port, 7000);
	ck_assert_uint_eq(t.database, 3);
	ck_assert(t.tls.enabled);
	choose((struct target_choice){.url = "redis://h"});
	ck_assert(!t.tls.enabled);
	choose((struct target_choice){.env_url = "REDISS://h", .tls.ca_path = "ca.pem"});
	ck_assert(t.tls.enabled);
	ck_assert_str_eq(t.tls.ca_path, "ca.pem");
	choose((struct target_choice){.url = "redis://h", .tls.enabled = true});
	ck_assert(t.tls.enabled);
	/* The host is replaced, the protocol is not. */
	choose((struct target_choice){.url = "rediss://h", .host = "other"});
	ck_assert(t.tls.enabled);
	choose((struct target_choice){.url = "rediss://h", .socket_path = "a.sock"});
	ck_assert(!t.tls.enabled);
}
END_TEST

static void
refuse_tls(struct tls_options tls, const char *socket_path, const char *about)
{
	struct target_choice choice = {.tls = tls, .socket_path = socket_path};

	error = "";
	ck_assert(!target_choose(&t, &choice, &error));
	ck_assert_msg(strstr(error, about) != NULL, "%s", error);
}

START_TEST(options_of_tls_that_do_not_fit_together_are_refused)
{
	refuse_tls((struct tls_options){.ca_path = "ca.pem"}, NULL, "need --tls");
	refuse_tls((struct tls_options){.ca_dir = "certs"}, NULL, "need --tls");
	refuse_tls((struct tls_options){.cert_path = "cert.pem"}, NULL, "need --tls");
	refuse_tls((struct tls_options){.sni = "h"}, NULL, "need --tls");
	refuse_tls((struct tls_options){.insecure = true}, NULL, "need --tls");
	refuse_tls((struct tls_options){.enabled = true, .key_path = "key.pem"}, NULL, "--cert");
	refuse_tls((struct tls_options){.enabled = true}, "a.sock", "Unix");
}
END_TEST

START_TEST(nothing_said_is_localhost)
{
	choose((struct target_choice){.env_url = "", .env_password = ""});
	ck_assert_str_eq(t.host, "127.0.0.1");
	ck_assert_uint_eq(t.port, 6379);
	ck_assert_ptr_null(t.socket_path);
	ck_assert_ptr_null(t.password);
}
END_TEST

START_TEST(an_option_goes_before_the_url_and_that_before_the_environment)
{
	choose((struct target_choice){.url = "redis://u:p@urlhost:1111",
	    .env_url = "redis://envhost:2222",
	    .env_password = "env",
	    .host = "opthost"});
	ck_assert_str_eq(t.host, "opthost");
	ck_assert_uint_eq(t.port, 1111);
	ck_assert_str_eq(t.user, "u");
	ck_assert_str_eq(t.password, "p");
	choose((struct target_choice){.env_url = "redis://envhost:2222", .port = 3333});
	ck_assert_str_eq(t.host, "envhost");
	ck_assert_uint_eq(t.port, 3333);
	choose((struct target_choice){.url = "redis://:p@h", .password = "", .user = "other"});
	ck_assert_str_eq(t.password, "");
	ck_assert_str_eq(t.user, "other");
}
END_TEST

START_TEST(host_and_socket_of_options_displace_those_of_the_url)
{
	choose((struct target_choice){.url = "unix:///a.sock", .port = 7000});
	ck_assert_ptr_null(t.socket_path);
	ck_assert_str_eq(t.host, "127.0.0.1");
	choose((struct target_choice){.url = "redis://h", .socket_path = "b.sock"});
	ck_assert_str_eq(t.socket_path, "b.sock");
}
END_TEST

START_TEST(the_environment_gives_the_password_that_nothing_else_does)
{
	choose((struct target_choice){.user = "ann", .env_password = "pw"});
	ck_assert_str_eq(t.password, "pw");
	choose((struct target_choice){.env_url = "redis://ann@h", .env_password = "pw"});
	ck_assert_str_eq(t.user, "ann");
	ck_assert_str_eq(t.password, "pw");
}
END_TEST

START_TEST(what_contradicts_itself_is_refused)
{
	ck_assert(
	    !target_choose(&t, &(struct target_choice){.socket_path = "s", .host = "h"}, &error));
	ck_assert(
	    !target_choose(&t, &(struct target_choice){.socket_path = "s", .port = 1}, &error));
	ck_assert(!target_choose(&t, &(struct target_choice){.user = "ann"}, &error));
	ck_assert(!target_choose(&t, &(struct target_choice){.url = ""}, &error));
	ck_assert(!target_choose(&t, &(struct target_choice){.env_url = "nonsense"}, &error));
}
END_TEST

START_TEST(a_target_is_described_without_its_password)
{
	static const char *const cases[][2] = {{"redis://u:p@h:1", "h:1"},
	    {"redis://u:p@[::1]", "[::1]:6379"}, {"unix://u:p@/a/b", "/a/b"}};

	for (size_t i = 0; i < 3; i++) {
		struct buffer out = {0};

		choose((struct target_choice){.url = cases[i][0]});
		target_describe(&t, &out);
		ck_assert(slice_is(buffer_slice(&out), cases[i][1]));
		buffer_release(&out);
	}
}
END_TEST

int
main(void)
{
	return testing_main("cli/target", setup, teardown,
	    (const TTest *[]){every_part_of_a_url_is_taken_and_missing_parts_have_defaults,
		a_bad_url_is_refused_and_nothing_changes, a_rediss_url_asks_for_tls,
		options_of_tls_that_do_not_fit_together_are_refused, nothing_said_is_localhost,
		an_option_goes_before_the_url_and_that_before_the_environment,
		host_and_socket_of_options_displace_those_of_the_url,
		the_environment_gives_the_password_that_nothing_else_does,
		what_contradicts_itself_is_refused, a_target_is_described_without_its_password,
		NULL});
}
