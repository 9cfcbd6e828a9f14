#include "config.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "server/client.h"
#include "server/core.h"
#include "server/io.h"
#include "server/server.h"
#include "server/statistics.h"
#include "server/wait.h"

static struct test_conn *c; /* a client of the user default */

static void
setup(void)
{
	test_setup();
	c = test_open();
}

static void
assert_says(struct test_conn *conn, const char *line, const char *expected)
{
	ck_assert_str_eq(test_call(conn, line), expected);
}

static struct test_conn *
open_as(const char *user)
{
	struct test_conn *conn = test_open();
	char line[64];

	snprintf(line, sizeof(line), "auth %s x", user);
	assert_says(conn, line, "+OK\r\n");
	return conn;
}

START_TEST(a_rule_that_takes_channels_away_closes_who_hears_them)
{
	struct test_conn *a, *b, *p;

	assert_says(c, "acl setuser u on nopass +@all &a &b &p*", "+OK\r\n");
	a = open_as("u");
	b = open_as("u");
	p = open_as("u");
	test_call(a, "subscribe a b");
	test_call(b, "ssubscribe b");
	test_call(p, "psubscribe p*");
	assert_says(c, "acl setuser u &c", "+OK\r\n");
	ck_assert(a->killed == NULL && b->killed == NULL && p->killed == NULL);
	assert_says(c, "acl setuser u resetchannels &b &pp*", "+OK\r\n");
	ck_assert(a->killed != NULL && b->killed == NULL && p->killed != NULL);
}
END_TEST

/* Revokes &x from u. The new rules have many patterns, against which each channel is matched. */
static bool
take_x_away(void)
{
	char line[4096];
	int len = snprintf(line, sizeof(line), "acl setuser u resetchannels");

	for (int i = 0; i < 300; i++)
		len += snprintf(line + len, sizeof(line) - (size_t)len, " &%d*", i);
	snprintf(line + len, sizeof(line) - (size_t)len, " &n*");
	return test_send(c, line);
}

/* A client of u with very many subscriptions; the last is to x. */
static struct test_conn *
open_with_many(void)
{
	struct test_conn *s;
	char line[64];

	assert_says(c, "acl setuser u on nopass +@all &n* &x", "+OK\r\n");
	s = open_as("u");
	for (int i = 0; i < 20000; i++) {
		snprintf(line, sizeof(line), "subscribe n%d", i);
		test_call(s, line);
	}
	test_call(s, "subscribe x");
	return s;
}

START_TEST(a_user_with_very_many_subscriptions_is_looked_at_in_slices)
{
	struct test_conn *s = open_with_many();

	ck_assert(!take_x_away());
	ck_assert_str_eq(test_finish(c), "+OK\r\n");
	ck_assert(s->killed != NULL);
}
END_TEST

START_TEST(a_check_is_completed_after_its_client_has_left)
{
	struct test_conn *s = open_with_many();

	ck_assert(!take_x_away());
	test_close(c);
	for (int i = 0; i < 10000 && s->killed == NULL; i++)
		test_turns(1);
	ck_assert(s->killed != NULL);
}
END_TEST

START_TEST(what_changes_for_one_user_closes_nobody_else)
{
	struct test_conn *a, *b;

	assert_says(c, "acl setuser a on nopass +@all &a", "+OK\r\n");
	assert_says(c, "acl setuser b on nopass +@all &b", "+OK\r\n");
	a = open_as("a");
	test_call(a, "hello 3");
	test_call(a, "subscribe a");
	/* As in Redis, a client that logs in as another user keeps its subscriptions. */
	assert_says(a, "auth b x", "+OK\r\n");
	b = open_as("b");
	test_call(b, "subscribe b");
	assert_says(c, "acl setuser a resetchannels", "+OK\r\n");
	assert_says(c, "acl deluser a", ":1\r\n");
	ck_assert(a->killed == NULL && b->killed == NULL);
	assert_says(c, "acl setuser b resetchannels &b &x", "+OK\r\n");
	ck_assert(a->killed == NULL && b->killed == NULL);
	assert_says(c, "acl setuser b resetchannels &b", "+OK\r\n");
	ck_assert(a->killed != NULL && b->killed == NULL);
}
END_TEST

START_TEST(a_deleted_user_is_closed_and_runs_nothing_more)
{
	struct test_conn *u;

	assert_says(c, "acl setuser u on nopass +@all", "+OK\r\n");
	u = open_as("u");
	assert_says(c, "acl deluser u", ":1\r\n");
	ck_assert(u->killed != NULL);
	assert_says(u, "ping", "");
}
END_TEST

/* What checked rights before checks them again, though its client may not be closed yet. */
START_TEST(deleting_a_user_changes_the_rules)
{
	uint32_t version;

	assert_says(c, "acl setuser u on nopass +@all", "+OK\r\n");
	version = test_server->limits_version;
	assert_says(c, "acl deluser nobody", ":0\r\n");
	ck_assert_uint_eq(test_server->limits_version, version);
	assert_says(c, "acl deluser u", ":1\r\n");
	ck_assert_uint_ne(test_server->limits_version, version);
}
END_TEST

START_TEST(a_client_that_deletes_its_own_user_gets_the_reply_first)
{
	struct test_conn *u;

	assert_says(c, "acl setuser u on nopass +@all", "+OK\r\n");
	u = open_as("u");
	assert_says(u, "acl deluser u", ":1\r\n");
	ck_assert(u->finished);
	ck_assert_ptr_null(u->killed);
}
END_TEST

START_TEST(a_login_waits_after_wrong_passwords_and_holds_up_nobody)
{
	struct test_conn *guesser = test_open_from(&(struct server_peer){
	    .address = "10.0.0.1:1", .local_address = "10.0.0.9:6379", .origin = SLICE("1")});
	struct test_conn *same = test_open_from(&(struct server_peer){
	    .address = "10.0.0.1:2", .local_address = "10.0.0.9:6379", .origin = SLICE("1")});
	uint64_t begun_us;

	test_config.auth_delay_max_ms = 100;
	assert_says(c, "acl setuser u on >right", "+OK\r\n");
	for (int i = 0; i < 4; i++)
		assert_says(guesser, "auth u wrong",
		    "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
	begun_us = clock_mono_us();
	ck_assert(!test_send(guesser, "auth u right"));
	ck_assert(!test_send(same, "hello 3 auth u right"));
	ck_assert_uint_eq(test_server->waits->queues[WAIT_LOGIN].count, 2);
	assert_says(c, "auth u right", "+OK\r\n");
	ck_assert_str_eq(test_finish(guesser), "+OK\r\n");
	ck_assert_uint_ge(clock_mono_us() - begun_us, 50000 - 1000);
	ck_assert_int_eq(strncmp(test_finish(same), "%8\r\n", 4), 0);
	ck_assert_uint_eq(test_server->waits->queues[WAIT_LOGIN].count, 0);
	ck_assert_uint_eq(test_server->statistics->counters.delayed_logins, 2);
}
END_TEST

START_TEST(who_goes_while_his_login_waits_is_forgotten)
{
	test_config.auth_delay_max_ms = 100;
	for (int i = 0; i < 4; i++)
		test_call(c, "auth u wrong");
	ck_assert(!test_send(c, "auth u wrong"));
	test_close(c);
	ck_assert_uint_eq(test_server->waits->queues[WAIT_LOGIN].count, 0);
}
END_TEST

START_TEST(who_counts_as_one_address_waits_as_one)
{
	struct server_peer peer = {
	    .address = "[2001:db8::1]:5", .local_address = "[::1]:6379", .origin = SLICE("1")};

	test_config.auth_delay_max_ms = 100;
	for (size_t i = 0; i < 4; i++)
		test_call(test_open_from(&peer), "auth u wrong");
	ck_assert(!test_send(test_open_from(&peer), "auth u wrong"));
	peer.origin = SLICE("2");
	ck_assert(test_send(test_open_from(&peer), "auth u wrong"));
}
END_TEST

START_TEST(requirepass_and_the_user_default_stay_in_step)
{
	struct test_conn *n;

	test_config.requirepass = "one";
	server_reconfigured(test_server);
	n = test_open();
	ck_assert(n->unauthenticated);
	assert_says(n, "ping", "-NOAUTH Authentication required.\r\n");
	assert_says(c, "acl setuser default >two", "+OK\r\n");
	assert_says(n, "auth two", "+OK\r\n");
	server_reconfigured(test_server);
	assert_says(n, "auth default two", "+OK\r\n");
	test_config.requirepass = "three";
	server_reconfigured(test_server);
	assert_says(
	    n, "auth two", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
	assert_says(n, "acl setuser default off", "+OK\r\n");
	assert_says(test_open(), "ping", "-NOAUTH Authentication required.\r\n");
}
END_TEST

START_TEST(load_takes_a_file_whole_or_not_at_all)
{
	struct test_conn *u;

	ck_assert_int_eq(strncmp(test_call(c, "acl load"), "-ERR This Fanfare instance", 26), 0);
	test_acl_file = "users.acl";
	snprintf(test_acl_text, sizeof(test_acl_text), "user u on nopass +@all\nuser v on\n");
	assert_says(c, "acl load", "+OK\r\n");
	u = open_as("u");
	snprintf(test_acl_text, sizeof(test_acl_text), "user v on +nosuch\n");
	assert_says(c, "acl load",
	    "-ERR users.acl:1: rule '+nosuch': Unknown command or category name in ACL. WARNING: "
	    "ACL errors detected, no change to the previously active ACL rules was performed\r\n");
	ck_assert_ptr_null(u->killed);
	snprintf(test_acl_text, sizeof(test_acl_text), "user v on\n");
	assert_says(c, "acl load", "+OK\r\n");
	ck_assert(u->killed != NULL);
	assert_says(c, "acl save", "+OK\r\n");
	ck_assert_str_eq(test_acl_text, "user default on nopass sanitize-payload ~* &* +@all\nuser "
					"v on sanitize-payload resetchannels -@all\n");
}
END_TEST

START_TEST(what_was_denied_is_in_the_log)
{
	struct test_conn *u;
	const char *log;

	assert_says(c, "acl setuser u on nopass +publish +subscribe &a", "+OK\r\n");
	u = open_as("u");
	for (int i = 0; i < 3; i++)
		assert_says(u, "publish b x",
		    "-NOPERM this user has no permissions to access one of the channels used as "
		    "arguments\r\n");
	assert_says(
	    u, "ping", "-NOPERM this user has no permissions to run the 'ping' command\r\n");
	log = test_call(c, "acl log");
	ck_assert_ptr_nonnull(strstr(log, "$6\r\nreason\r\n$7\r\ncommand\r\n"));
	ck_assert_ptr_nonnull(
	    strstr(log, "$5\r\ncount\r\n:3\r\n$6\r\nreason\r\n$7\r\nchannel\r\n"));
	ck_assert_ptr_nonnull(strstr(log, "$8\r\nusername\r\n$1\r\nu\r\n"));
	assert_says(c, "acl log reset", "+OK\r\n");
	assert_says(c, "acl log", "*0\r\n");
}
END_TEST

START_TEST(a_subscribe_that_goes_on_is_held_to_rules_that_changed_meanwhile)
{
	struct buffer line = {0};
	struct test_conn *s;

	assert_says(c, "acl setuser u on nopass +@all &n* &x", "+OK\r\n");
	s = open_as("u");
	buffer_append_str(&line, "subscribe");
	for (int i = 0; i < 4000; i++)
		buffer_appendf(&line, " n%0300d", i);
	buffer_append(&line, " x", 3);
	ck_assert(!test_send(s, line.ptr));
	buffer_release(&line);
	while (s->later && s->client->pending->progress == 0)
		test_turns(1);
	ck_assert(s->later);
	assert_says(c, "acl setuser u resetchannels &n*", "+OK\r\n");
	for (int i = 0; i < 10000 && s->killed == NULL && s->later; i++)
		test_turns(1);
	assert_says(c, "publish x 1", ":0\r\n");
	ck_assert(s->killed != NULL);
}
END_TEST

/*
 * Subscribes to many channels "n...", then to last, as a user for whom each channel is matched
 * against many patterns.
 */
static bool
subscribe_to_many(struct test_conn *s, const char *last)
{
	struct buffer line = {0};
	bool done;

	buffer_append_str(&line, "subscribe");
	for (int i = 0; i < 2000; i++)
		buffer_appendf(&line, " n%0300d", i);
	buffer_appendf(&line, " %s", last);
	buffer_append(&line, "", 1);
	done = test_send(s, line.ptr);
	buffer_release(&line);
	return done;
}

START_TEST(a_long_list_of_channels_is_looked_at_in_slices_and_refused_as_a_whole)
{
	static const char *const refused = "-NOPERM this user has no permissions to access one of "
					   "the channels used as arguments\r\n";
	struct test_conn *s;

	assert_says(c, "acl setuser u on nopass +@all &n* &x", "+OK\r\n");
	s = open_as("u");
	ck_assert(take_x_away());
	test_read(c);
	ck_assert(!subscribe_to_many(s, "x"));
	ck_assert_str_eq(test_finish(s), refused);
	ck_assert_uint_eq(client_subscriptions(s->client), 0);

	/* A permission that was checked already may be revoked before the last check. */
	ck_assert(!subscribe_to_many(s, "n"));
	test_turns(1);
	assert_says(c, "acl setuser u resetchannels &n", "+OK\r\n");
	ck_assert_str_eq(test_finish(s), refused);
	ck_assert_uint_eq(client_subscriptions(s->client), 0);
	assert_says(c, "acl setuser u &n*", "+OK\r\n");
	ck_assert(!subscribe_to_many(s, "n"));
	test_finish(s);
	ck_assert_uint_eq(client_subscriptions(s->client), 2001);

	/* A client that leaves meanwhile leaves nothing behind. */
	ck_assert(!subscribe_to_many(s, "n"));
	test_close(s);
}
END_TEST

START_TEST(passwords_that_come_with_a_mistake_are_not_shown_either)
{
	static const char *const lines[] = {"hello 9 auth u geheim", "hello auth u geheim",
	    "hello 3 auth geheim", "config set tls-key-file-pass geheim",
	    "config set maxclients 5 requirepass geheim"};

	test_config.slowlog_slower_than_us = 0;
	test_config.slowlog_max_len = 100;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		test_call(c, lines[i]);
	ck_assert_ptr_null(strstr(test_call(c, "slowlog get 100"), "geheim"));
}
END_TEST

START_TEST(a_login_that_turns_out_to_be_none_leaves_nothing_behind)
{
	struct test_conn *n;

	test_config.auth_delay_max_ms = 100;
	test_config.requirepass = "one";
	server_reconfigured(test_server);
	n = test_open();
	for (int i = 0; i < 4; i++)
		test_call(n, "auth wrong");
	ck_assert(!test_send(n, "auth one"));
	test_config.requirepass = "";
	server_reconfigured(test_server);
	ck_assert_int_eq(strncmp(test_finish(n), "-ERR AUTH <password> called without", 35), 0);
	ck_assert_ptr_null(n->client->pending);
}
END_TEST

START_TEST(a_client_that_need_not_authenticate_has_no_auth_timeout)
{
	struct test_conn *n;

	test_config.requirepass = "one";
	server_reconfigured(test_server);
	n = test_open();
	ck_assert(n->unauthenticated);
	test_config.requirepass = "";
	server_reconfigured(test_server);
	assert_says(n, "ping", "+PONG\r\n");
	ck_assert(!n->unauthenticated);
	test_config.requirepass = "two";
	server_reconfigured(test_server);
	assert_says(n, "ping", "-NOAUTH Authentication required.\r\n");
	ck_assert(n->unauthenticated);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/access", setup, test_teardown,
	    (const TTest *[]){a_rule_that_takes_channels_away_closes_who_hears_them,
		a_user_with_very_many_subscriptions_is_looked_at_in_slices,
		a_check_is_completed_after_its_client_has_left,
		a_deleted_user_is_closed_and_runs_nothing_more,
		what_changes_for_one_user_closes_nobody_else, deleting_a_user_changes_the_rules,
		a_client_that_deletes_its_own_user_gets_the_reply_first,
		a_login_waits_after_wrong_passwords_and_holds_up_nobody,
		who_goes_while_his_login_waits_is_forgotten, who_counts_as_one_address_waits_as_one,
		requirepass_and_the_user_default_stay_in_step,
		load_takes_a_file_whole_or_not_at_all, what_was_denied_is_in_the_log,
		a_subscribe_that_goes_on_is_held_to_rules_that_changed_meanwhile,
		a_long_list_of_channels_is_looked_at_in_slices_and_refused_as_a_whole,
		passwords_that_come_with_a_mistake_are_not_shown_either,
		a_login_that_turns_out_to_be_none_leaves_nothing_behind,
		a_client_that_need_not_authenticate_has_no_auth_timeout, NULL});
}
