#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "server/access.h"
#include "server/server.h"
#include "token/cache.h"
#include "token/keys.h"
#include "token/testing_token.h"

/* AUTH with a token in place of the password. */
#define WRONG "-WRONGPASS invalid username-password pair or user is disabled.\r\n"

static struct tokens *tokens;
static struct test_conn *admin, *c;

static void
setup(void)
{
	struct token_key_sources sources = {.hmac_secret = SLICE(TESTING_SECRET)};
	struct token_rules rules = {.leeway_s = 5};
	struct buffer error = {0};
	struct token_keys *keys = token_keys_new(&sources, &error);

	ck_assert_ptr_nonnull(keys);
	tokens = tokens_new(TOKENS_CACHE_BYTES);
	tokens_configure(tokens, keys, &rules);
	test_setup();
	server_set_tokens(test_server, tokens);
	admin = test_open();
	c = test_open();
	ck_assert_str_eq(test_call(admin, "acl setuser web on jwt >secret +@all ~* &*"), "+OK\r\n");
}

static void
teardown(void)
{
	test_teardown();
	tokens_free(tokens);
}

/* The reply to AUTH user with a token of these claims. */
static const char *
reply_to(struct test_conn *conn, const char *user, const char *claims)
{
	char *token = testing_token("{\"alg\":\"HS256\"}", claims);
	char *line = xasprintf("auth %s %s", user, token);
	const char *reply = test_call(conn, line);

	xfree(line);
	xfree(token);
	return reply;
}

/* AUTH web with a token that ends in seconds from now. */
static const char *
log_in_for(struct test_conn *conn, int seconds)
{
	char claims[128];

	snprintf(claims, sizeof(claims), "{\"fanfare\":{\"user\":\"web\"},\"exp\":%lld}",
	    (long long)time(NULL) + seconds);
	return reply_to(conn, "web", claims);
}

static void
turn_after(int seconds)
{
	test_turn(clock_mono_us() + (uint64_t)seconds * 1000000);
}

START_TEST(a_token_that_names_the_user_logs_in)
{
	ck_assert_str_eq(reply_to(c, "web", "{\"fanfare\":{\"user\":\"web\"}}"), "+OK\r\n");
	ck_assert_str_eq(test_call(c, "acl whoami"), "$3\r\nweb\r\n");
	ck_assert_str_eq(test_call(c, "auth web secret"), "+OK\r\n");
}
END_TEST

START_TEST(a_token_of_another_user_does_not)
{
	static const char reply[] = "-WRONGPASS the token does not name this user "
				    "(\"fanfare\":{\"user\":...})\r\n";

	ck_assert_str_eq(reply_to(c, "web", "{\"fanfare\":{\"user\":\"other\"}}"), reply);
	ck_assert_str_eq(reply_to(c, "web", "{\"sub\":\"web\"}"), reply);
}
END_TEST

START_TEST(a_user_without_the_rule_does_not_log_in_with_a_token)
{
	test_call(admin, "acl setuser plain on >secret");
	ck_assert_str_eq(reply_to(c, "plain", "{\"fanfare\":{\"user\":\"plain\"}}"), WRONG);
	ck_assert_str_eq(reply_to(c, "nosuch", "{\"fanfare\":{\"user\":\"nosuch\"}}"), WRONG);
	test_call(admin, "acl setuser web nojwt");
	ck_assert_str_eq(reply_to(c, "web", "{\"fanfare\":{\"user\":\"web\"}}"), WRONG);
	test_call(admin, "acl setuser web jwt off");
	ck_assert_str_eq(reply_to(c, "web", "{\"fanfare\":{\"user\":\"web\"}}"), WRONG);
}
END_TEST

START_TEST(a_token_that_is_limited_to_channels_is_refused)
{
	ck_assert_str_eq(
	    reply_to(c, "web", "{\"fanfare\":{\"user\":\"web\"},\"channels\":[\"a\"]}"),
	    "-WRONGPASS a token with claims about channels is for HTTP only\r\n");
	ck_assert_str_eq(reply_to(c, "web", "{\"fanfare\":{\"user\":\"web\"},\"channel\":\"a\"}"),
	    "-WRONGPASS the token is for a subscription only\r\n");
}
END_TEST

START_TEST(a_wrong_signature_is_a_wrong_password)
{
	ck_assert_str_eq(test_call(c, "auth web eyJhbGciOiJIUzI1NiJ9.e30.AAAA"), WRONG);
	ck_assert_str_eq(test_call(c, "auth web a.b.c"), WRONG);
	ck_assert_str_eq(test_call(c, "auth web a.b"), WRONG);
	ck_assert_str_eq(log_in_for(c, -100), "-WRONGPASS the token has expired\r\n");
}
END_TEST

START_TEST(wrong_tokens_delay_the_next_login)
{
	test_config.auth_delay_max_ms = 100;
	for (int i = 0; i < 4; i++)
		ck_assert_str_eq(test_call(c, "auth web a.b.c"), WRONG);
	ck_assert(!test_send(c, "auth web secret"));
	ck_assert_str_eq(test_finish(c), "+OK\r\n");
}
END_TEST

START_TEST(of_many_tokens_that_were_delayed_some_are_not_verified)
{
	struct test_conn *conns[60];
	bool is_delayed[60];
	size_t verified = 0, refused = 0;

	test_config.auth_delay_max_ms = 50;
	for (int i = 0; i < 4; i++)
		ck_assert_str_eq(test_call(c, "auth web a.b.c"), WRONG);
	/* On a slow machine the delay may end before the last of them was sent. */
	for (size_t i = 0; i < 60; i++) {
		conns[i] = test_open();
		is_delayed[i] = !test_send(conns[i], "auth web a.b.c");
	}
	for (size_t i = 0; i < 60; i++) {
		const char *reply = is_delayed[i] ? test_finish(conns[i]) : test_read(conns[i]);

		verified += strcmp(reply, WRONG) == 0;
		refused += strcmp(reply, "-ERR too many wrong tokens from this address; try again "
					 "later\r\n") == 0;
	}
	ck_assert_uint_eq(verified + refused, 60);
	ck_assert(verified >= 10 && refused >= 1);
}
END_TEST

START_TEST(without_keys_no_token_logs_in)
{
	server_set_tokens(test_server, NULL);
	ck_assert_str_eq(reply_to(c, "web", "{\"fanfare\":{\"user\":\"web\"}}"), WRONG);
}
END_TEST

START_TEST(the_session_ends_with_the_token)
{
	ck_assert_str_eq(log_in_for(c, 60), "+OK\r\n");
	turn_after(59);
	ck_assert_ptr_null(c->killed);
	turn_after(70);
	ck_assert_str_eq(c->killed, "its token expired");
	ck_assert_ptr_null(admin->killed);
}
END_TEST

START_TEST(a_new_login_replaces_the_end)
{
	struct test_conn *d = test_open(), *e = test_open();

	ck_assert_str_eq(log_in_for(c, 60), "+OK\r\n");
	ck_assert_str_eq(log_in_for(d, 60), "+OK\r\n");
	ck_assert_str_eq(log_in_for(e, 60), "+OK\r\n");
	ck_assert_str_eq(log_in_for(c, 600), "+OK\r\n");
	ck_assert_str_eq(test_call(d, "auth web secret"), "+OK\r\n");
	ck_assert_str_eq(test_call(e, "reset"), "+RESET\r\n");
	turn_after(100);
	ck_assert(c->killed == NULL && d->killed == NULL && e->killed == NULL);
	turn_after(700);
	ck_assert_ptr_nonnull(c->killed);
	ck_assert(d->killed == NULL && e->killed == NULL);
}
END_TEST

START_TEST(a_client_that_leaves_before_the_end_is_forgotten)
{
	ck_assert_str_eq(log_in_for(c, 60), "+OK\r\n");
	test_close(c);
	test_turns(2);
	turn_after(700);
}
END_TEST

START_TEST(a_very_late_end_is_none)
{
	ck_assert_str_eq(
	    reply_to(c, "web", "{\"fanfare\":{\"user\":\"web\"},\"exp\":9007199254740991}"),
	    "+OK\r\n");
	turn_after(1000000);
	ck_assert_ptr_null(c->killed);
}
END_TEST

START_TEST(hello_takes_a_token_too)
{
	char *token = testing_token("{\"alg\":\"HS256\"}", "{\"fanfare\":{\"user\":\"web\"}}");
	char *line = xasprintf("hello 2 auth web %s", token);

	ck_assert_int_eq(test_call(c, line)[0], '*');
	ck_assert_str_eq(test_call(c, "acl whoami"), "$3\r\nweb\r\n");
	xfree(line);
	xfree(token);
}
END_TEST

START_TEST(the_rule_is_shown)
{
	ck_assert_ptr_nonnull(
	    strstr(test_call(admin, "acl list"), "user web on sanitize-payload jwt #"));
	ck_assert_ptr_nonnull(strstr(test_call(admin, "acl getuser web"),
	    "$2\r\non\r\n$16\r\nsanitize-payload\r\n$3\r\njwt\r\n"));
}
END_TEST

int
main(void)
{
	return testing_main("cmd/auth_token", setup, teardown,
	    (const TTest *[]){a_token_that_names_the_user_logs_in, a_token_of_another_user_does_not,
		a_user_without_the_rule_does_not_log_in_with_a_token,
		a_token_that_is_limited_to_channels_is_refused,
		a_wrong_signature_is_a_wrong_password, wrong_tokens_delay_the_next_login,
		of_many_tokens_that_were_delayed_some_are_not_verified,
		without_keys_no_token_logs_in, the_session_ends_with_the_token,
		a_new_login_replaces_the_end, a_client_that_leaves_before_the_end_is_forgotten,
		a_very_late_end_is_none, hello_takes_a_token_too, the_rule_is_shown, NULL});
}
