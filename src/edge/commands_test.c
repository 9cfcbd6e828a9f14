#include "config.h"

#include "edge/commands.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_presence.h"
#include "edge/session.h"
#include "edge/testing_edge.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "server/core.h"

/* The commands of WebSockets, with each of their errors. */

#define ERROR(id, code, text)                                                                      \
	"{\"id\":" #id ",\"error\":{\"code\":" #code ",\"message\":\"" text "\"}}\n"
#define BAD_REQUEST ERROR(2, 107, "bad request")
#define DENIED ERROR(2, 103, "permission denied")

static size_t
subscriptions(void)
{
	return hub_figures(test_server->hub).subscriptions;
}

static struct test_conn *
connect_with(const char *claims)
{
	char *token = test_edge_token(claims);
	struct test_conn *conn = test_edge_socket(token);

	xfree(token);
	return conn;
}

/* A text with a token of these claims in place of %s. */
static const char *
call_with(struct test_conn *conn, const char *format, const char *claims)
{
	const char *at = strstr(format, "%s");
	char *token = test_edge_token(claims);
	char *text = xasprintf("%.*s%s%s", (int)(at - format), format, token, at + 2);
	const char *reply = test_edge_call(conn, text);

	xfree(text);
	xfree(token);
	return reply;
}

START_TEST(wrong_parameters_are_a_bad_request)
{
	static const char *const bad[] = {
	    "{\"id\":2,\"subscribe\":{}}",
	    "{\"id\":2,\"subscribe\":[]}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"\"}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":1}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"glob:\"}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"a\",\"channel\":\"a\"}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"a\",\"recover\":1}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"a\",\"offset\":-1}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"a\",\"offset\":1.5}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"a\",\"epoch\":7}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"\\ud800\"}}",
	    "{\"id\":2,\"unsubscribe\":{}}",
	    "{\"id\":2,\"publish\":{\"channel\":\"a\"}}",
	    "{\"id\":2,\"publish\":{\"data\":1}}",
	    "{\"id\":2,\"publish\":{\"channel\":\"a\",\"data\":1,\"data\":2}}",
	    "{\"id\":2,\"refresh\":{}}",
	    "{\"id\":2,\"refresh\":{\"token\":7}}",
	    "{\"id\":2,\"sub_refresh\":{\"channel\":\"a\"}}",
	    "{\"id\":2,\"history\":{}}",
	    "{\"id\":2,\"history\":{\"channel\":\"keep_a\",\"limit\":\"x\"}}",
	    "{\"id\":2,\"history\":{\"channel\":\"keep_a\",\"since\":1}}",
	    "{\"id\":2,\"history\":{\"channel\":\"keep_a\",\"since\":{\"offset\":\"x\"}}}",
	    "{\"id\":2,\"presence\":{}}",
	    "{\"id\":2,\"presence_stats\":{\"channel\":null}}",
	};
	struct test_conn *conn = test_edge_socket("");

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *reply = test_edge_call(conn, bad[i]);

		ck_assert_msg(strcmp(reply, BAD_REQUEST) == 0, "%s: %s", bad[i], reply);
		ck_assert_ptr_null(test_edge_session(conn)->opening);
	}
	ck_assert_uint_eq(subscriptions(), 0);
	ck_assert_uint_eq(test_edge_figures()->command_errors, sizeof(bad) / sizeof(bad[0]));
}
END_TEST

START_TEST(each_error_has_its_code)
{
	struct test_conn *conn = test_edge_socket("");

	(void)test_call(test_admin, "acl setuser edge resetchannels &a &b &c &d &e &keep_a &pres");
	(void)test_call(test_admin, "channel set e max-message 5");
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":2,\"rpc\":{}}"), ERROR(2, 104, "method not found"));
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"x\"}}"), DENIED);
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"glob:*\"}}"), DENIED);
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":2,\"publish\":{\"channel\":\"x\",\"data\":1}}"), DENIED);
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":2,\"publish\":{\"channel\":\"glob:a\",\"data\":1}}"),
	    DENIED);
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":2,\"history\":{\"channel\":\"x\"}}"), DENIED);
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":2,\"presence\":{\"channel\":\"x\"}}"), DENIED);
	ck_assert_str_eq(test_edge_call(conn, "{\"id\":2,\"history\":{\"channel\":\"a\"}}"),
	    ERROR(2, 108, "not available"));
	ck_assert_str_eq(test_edge_call(conn, "{\"id\":2,\"presence\":{\"channel\":\"a\"}}"),
	    ERROR(2, 108, "not available"));
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":2,\"presence_stats\":{\"channel\":\"glob:a\"}}"),
	    ERROR(2, 108, "not available"));
	ck_assert_str_eq(test_edge_call(conn, "{\"id\":2,\"history\":{\"channel\":\"keep_a\","
					      "\"since\":{\"offset\":1,\"epoch\":\"1\"}}}"),
	    ERROR(2, 112, "unrecoverable position"));
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":2,\"publish\":{\"channel\":\"e\",\"data\":\"123456\"}}"),
	    ERROR(2, 106, "limit exceeded"));
	ck_assert_uint_eq(subscriptions(), 0);
}
END_TEST

START_TEST(a_second_subscription_and_one_too_many_are_refused)
{
	struct test_conn *conn = test_edge_socket("");

	for (char name = 'a'; name < 'e'; name++) {
		char *text = xasprintf("{\"id\":2,\"subscribe\":{\"channel\":\"%c\"}}", name);

		ck_assert_str_eq(test_edge_call(conn, text), "{\"id\":2,\"subscribe\":{}}\n");
		ck_assert_str_eq(test_edge_call(conn, text), ERROR(2, 105, "already subscribed"));
		xfree(text);
	}
	ck_assert_str_eq(test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"e\"}}"),
	    ERROR(2, 106, "limit exceeded"));
	ck_assert_str_eq(test_edge_call(conn, "{\"id\":2,\"unsubscribe\":{\"channel\":\"a\"}}"),
	    "{\"id\":2,\"unsubscribe\":{}}\n");
	ck_assert_str_eq(test_edge_call(conn, "{\"id\":2,\"unsubscribe\":{\"channel\":\"a\"}}"),
	    "{\"id\":2,\"unsubscribe\":{}}\n");
	ck_assert_str_eq(test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"e\"}}"),
	    "{\"id\":2,\"subscribe\":{}}\n");
	ck_assert_uint_eq(subscriptions(), 4);
}
END_TEST

START_TEST(without_room_in_the_hub_a_subscription_is_undone)
{
	struct test_conn *conn = test_edge_socket("");

	test_config.hub.subscribers = 1;
	server_reconfigured(test_server);
	(void)test_call(test_admin, "subscribe keep_a");
	(void)test_call(test_admin, "psubscribe b*");
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"keep_a\",\"recover\":true,"
				 "\"epoch\":\"1\",\"offset\":1}}"),
	    ERROR(2, 106, "limit exceeded"));
	ck_assert_str_eq(test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"glob:b*\"}}"),
	    ERROR(2, 106, "limit exceeded"));
	ck_assert_uint_eq(subscriptions(), 2);
	ck_assert_ptr_null(test_edge_session(conn)->opening);
	ck_assert_ptr_null(test_edge_session(conn)->leases);
}
END_TEST

START_TEST(several_commands_in_a_message_are_answered_in_order)
{
	struct test_conn *conn = test_edge_join("");

	ck_assert_ptr_nonnull(strstr(
	    test_edge_call(conn, "{\"id\":1,\"connect\":{}}\n\r\n \n{\"id\":2,\"rpc\":{}}\n"
				 "{\"send\":{}}\n{}\n{\"id\":3,\"subscribe\":{\"channel\":\"a\"}}"),
	    "}}\n" ERROR(2, 104, "method not found") "{\"id\":3,\"subscribe\":{}}\n"));
	ck_assert_str_eq(test_edge_call(conn, "{\"id\":4,\"connect\":{}}\n{\"id\":5,\"rpc\":{}}"),
	    "close 3501 bad request\n");
}
END_TEST

START_TEST(a_command_that_ends_the_connection_is_the_last_even_if_it_took_a_whole_turn)
{
	struct test_conn *conn = test_edge_join("");
	char *blanks = xmalloc((16 << 20) + 1);
	char *text;

	memset(blanks, ' ', 16 << 20);
	blanks[16 << 20] = '\0';
	text = xasprintf("{\"id\":1,%s\"connect\":{}}\n{\"id\":2,\"rpc\":{}}", blanks);
	test_edge_call(conn, "{\"id\":1,\"connect\":{}}");
	ck_assert(test_edge_frame(conn, 't', text));
	ck_assert_str_eq(test_edge_messages(conn), "close 3501 bad request\n");
	xfree(blanks);
	xfree(text);
}
END_TEST

START_TEST(a_wrong_token_ends_the_connection_and_a_missing_one_is_an_error)
{
	struct test_conn *conn;

	test_edge_config.anonymous = false;
	conn = test_edge_join("");
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":2,\"connect\":{}}"), ERROR(2, 101, "unauthorized"));
	ck_assert_str_eq(
	    call_with(conn, "{\"id\":2,\"connect\":{\"token\":\"%s\"}}", "{\"exp\":999999}"),
	    ERROR(2, 109, "token expired"));
	ck_assert_uint_eq(test_edge_session(conn)->state, EDGE_JOINING);
	ck_assert_str_eq(test_edge_call(conn, "{\"id\":2,\"connect\":{\"token\":\"x.y.z\"}}"),
	    "close 3500 invalid token\n");
	conn = test_edge_join("");
	ck_assert_str_eq(call_with(conn, "{\"id\":2,\"connect\":{\"token\":\"%s\"}}",
			     "{\"fanfare\":{\"user\":\"nobody\"}}"),
	    "close 3500 invalid token\n");
	ck_assert_uint_eq(test_edge_figures()->denied_tokens, 3);
}
END_TEST

START_TEST(the_token_names_channels_to_begin_with)
{
	struct test_conn *conn = test_edge_join("");

	ck_assert_ptr_nonnull(strstr(call_with(conn, "{\"id\":1,\"connect\":{\"token\":\"%s\"}}",
					 "{\"sub\":\"u\",\"channels\":[\"a\",\"glob:b*\",\"a\"]}"),
	    ",\"subs\":{\"a\":{},\"glob:b*\":{"));
	ck_assert_uint_eq(subscriptions(), 2);
}
END_TEST

START_TEST(escapes_in_subs_do_not_move_what_was_read_before)
{
	struct buffer text = {0};
	struct test_conn *conn = test_edge_join("");
	char *token = test_edge_token(
	    "{\"sub\":\"u\",\"channels\":[\"keep_a\",\"keep_b\",\"keep_c\",\"keep_d\"]}");

	buffer_appendf(&text, "{\"id\":1,\"connect\":{\"token\":\"%s\",\"subs\":{", token);
	for (int i = 0; i < 2; i++)
		buffer_appendf(
		    &text, "\"\\u006beep_%c\":{\"recover\":true,\"epoch\":\"\\u0031\"},", 'a' + i);
	for (int i = 0; i < 200; i++)
		buffer_appendf(&text, "\"\\n%0100d\":{},", i);
	buffer_append_str(&text, "\"keep_c\":{\"recover\":7}}}}");
	buffer_append(&text, "", 1);
	ck_assert_str_eq(test_edge_call(conn, text.ptr), "close 3501 bad request\n");
	buffer_release(&text);
	xfree(token);
}
END_TEST

START_TEST(a_channel_of_the_token_that_is_not_allowed_ends_the_connection)
{
	struct test_conn *conn = test_edge_join("");

	(void)test_call(test_admin, "acl setuser bob on +@all resetchannels &a");
	ck_assert_str_eq(call_with(conn, "{\"id\":1,\"connect\":{\"token\":\"%s\"}}",
			     "{\"fanfare\":{\"user\":\"bob\"},\"channels\":[\"a\",\"b\"]}"),
	    "close 3507 permission denied\n");
}
END_TEST

START_TEST(a_subscription_ends_with_its_own_token)
{
	struct test_conn *conn = connect_with("{\"sub\":\"u\",\"caps\":[]}");
	uint64_t now_us = clock_mono_us();
	const char *subscribe = "{\"id\":2,\"subscribe\":{\"channel\":\"$a\",\"token\":\"%s\"}}";
	const char *refresh = "{\"id\":2,\"sub_refresh\":{\"channel\":\"$a\",\"token\":\"%s\"}}";

	(void)test_call(test_admin, "acl setuser edge resetchannels");
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"$a\"}}"), DENIED);
	ck_assert_str_eq(
	    call_with(conn, subscribe, "{\"sub\":\"u\",\"channel\":\"$b\",\"exp\":1000010}"),
	    DENIED);
	ck_assert_str_eq(
	    call_with(conn, subscribe, "{\"sub\":\"v\",\"channel\":\"$a\",\"exp\":1000010}"),
	    DENIED);
	ck_assert_str_eq(
	    call_with(conn, subscribe, "{\"sub\":\"u\",\"channel\":\"$a\",\"exp\":999999}"),
	    ERROR(2, 109, "token expired"));
	ck_assert_str_eq(
	    call_with(conn, refresh, "{\"sub\":\"u\",\"channel\":\"$a\",\"exp\":1000020}"), DENIED);
	ck_assert_ptr_nonnull(
	    strstr(call_with(conn, subscribe, "{\"sub\":\"u\",\"channel\":\"$a\",\"exp\":1000010}"),
		"\"expires\":true,\"ttl\":"));
	ck_assert_ptr_nonnull(
	    strstr(call_with(conn, refresh, "{\"sub\":\"u\",\"channel\":\"$a\",\"exp\":1000020}"),
		"\"expires\":true,\"ttl\":"));
	/* The rules of the user are not asked for it. */
	(void)test_call(test_admin, "acl setuser edge &c");
	test_turns(10);
	(void)edge_turn(test_edge, now_us + 11000000);
	ck_assert_str_eq(test_edge_messages(conn), "");
	(void)edge_turn(test_edge, now_us + 22000000);
	ck_assert_str_eq(test_edge_messages(conn), "{\"push\":{\"channel\":\"$a\",\"unsubscribe\":{"
						   "\"code\":2501,\"reason\":\"subscription "
						   "expired\"}}}\n");
	ck_assert_uint_eq(subscriptions(), 0);
	ck_assert_ptr_null(test_edge_session(conn)->leases);
}
END_TEST

START_TEST(a_pattern_with_a_token_ends_also_if_the_prefix_changed)
{
	struct test_conn *conn = connect_with("{\"sub\":\"u\"}");

	ck_assert_ptr_nonnull(strstr(
	    call_with(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"glob:a*\",\"token\":\"%s\"}}",
		"{\"sub\":\"u\",\"channel\":\"glob:a*\",\"exp\":1000010}"),
	    "\"ttl\":"));
	ck_assert_uint_eq(subscriptions(), 1);
	test_edge_config.ws_glob_prefix = "p:";
	edge_reconfigured(test_edge);
	(void)edge_turn(test_edge, clock_mono_us() + 12000000);
	ck_assert_ptr_nonnull(strstr(test_edge_messages(conn), "\"unsubscribe\":{\"code\":2501"));
	ck_assert_uint_eq(subscriptions(), 0);
}
END_TEST

START_TEST(a_refresh_ends_the_subscriptions_that_are_not_granted_any_more)
{
	struct test_conn *conn = connect_with(
	    "{\"sub\":\"u\",\"caps\":[{\"channels\":[\"a\",\"b\"],\"allow\":[\"sub\"]}]}");

	(void)test_call(test_admin, "acl setuser edge resetchannels");
	ck_assert_str_eq(test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}"),
	    "{\"id\":2,\"subscribe\":{}}\n");
	ck_assert_str_eq(test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"b\"}}"),
	    "{\"id\":2,\"subscribe\":{}}\n");
	ck_assert_ptr_nonnull(
	    strstr(call_with(conn, "{\"id\":2,\"refresh\":{\"token\":\"%s\"}}",
		       "{\"sub\":\"u\",\"caps\":[{\"channels\":[\"b\"],\"allow\":[\"sub\"]}]}"),
		"{\"push\":{\"channel\":\"a\",\"unsubscribe\":{\"code\":2000,"));
	ck_assert_uint_eq(subscriptions(), 1);
}
END_TEST

START_TEST(an_unsubscription_by_a_refresh_comes_behind_the_reply_that_began_it)
{
	struct test_conn *conn =
	    connect_with("{\"sub\":\"u\",\"caps\":[{\"channels\":[\"a\"],\"allow\":[\"sub\"]}]}");
	const char *text, *reply, *push;

	(void)test_call(test_admin, "acl setuser edge resetchannels");
	text = call_with(conn,
	    "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}\n{\"id\":3,\"refresh\":{\"token\":\"%s\"}"
	    "}",
	    "{\"sub\":\"u\",\"caps\":[]}");
	reply = strstr(text, "{\"id\":2,\"subscribe\":{}}");
	push = strstr(text, "{\"push\":{\"channel\":\"a\",\"unsubscribe\":");
	ck_assert_msg(reply != NULL && push > reply, "%s", text);
	ck_assert_uint_eq(subscriptions(), 0);
}
END_TEST

START_TEST(publications_that_were_missed_are_part_of_the_reply)
{
	struct test_conn *conn = test_edge_socket("");
	const char *at;
	char epoch[24], *end;
	unsigned long long offset;

	(void)test_call(test_admin, "publish keep_a 1");
	at = strstr(test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"keep_a\"}}"),
	    "\"epoch\":\"");
	ck_assert_ptr_nonnull(at);
	snprintf(epoch, sizeof(epoch), "%.*s", (int)strcspn(at + 9, "\""), at + 9);
	offset = strtoull(strstr(at, "\"offset\":") + 9, &end, 10);
	(void)test_call(test_admin, "publish keep_b 2");
	for (int i = 0; i < 3; i++) {
		const char *name = i == 0 ? "keep_b" : "glob:keep_*";
		char *text =
		    xasprintf("{\"id\":3,\"subscribe\":{\"channel\":\"%s\",\"recover\":true,"
			      "\"epoch\":\"%s\",\"offset\":%llu}}",
			name, i < 2 ? epoch : "7", offset);
		struct test_conn *next = test_edge_socket("");
		const char *reply;

		(void)test_edge_frame(next, 't', text);
		if (next->later)
			test_turns(3);
		ck_assert(!next->later);
		reply = test_edge_messages(next);
		if (i < 2)
			ck_assert_msg(
			    strstr(reply, "\"recovered\":true,\"publications\":[{\"data\":2,"
					  "\"offset\":") != NULL,
			    "%s", reply);
		else
			ck_assert_msg(strstr(reply, "\"recovered\":false}") != NULL, "%s", reply);
		xfree(text);
	}
}
END_TEST

START_TEST(messages_from_before_a_history_was_forgotten_are_not_shown)
{
	static const char *const commands[] = {
	    "{\"id\":2,\"history\":{\"channel\":\"keep_a\",\"limit\":9}}",
	    "{\"id\":2,\"history\":{\"channel\":\"keep_a\",\"limit\":9,\"reverse\":true}}"};
	struct test_conn *conn = test_edge_socket("");

	(void)test_call(test_admin, "publish keep_a 1");
	hub_forget_history(test_server->hub);
	(void)test_call(test_admin, "publish keep_a 2");
	for (int i = 0; i < 2; i++) {
		const char *reply = test_edge_call(conn, commands[i]);

		ck_assert_msg(strstr(reply, "\"publications\":[{\"data\":2,\"offset\":") != NULL &&
				  strstr(reply, "\"data\":1") == NULL,
		    "%s", reply);
	}
}
END_TEST

START_TEST(a_message_that_is_refused_after_a_wait_leaves_nothing_to_the_next)
{
	struct test_conn *stream = test_edge_stream("channel=a&channel=b");
	struct test_conn *conn = test_edge_socket("");
	char *data = xmalloc(65535), *text;

	memset(data, 'x', 65534);
	data[65534] = '\0';
	text = xasprintf("{\"id\":2,\"publish\":{\"channel\":\"a\",\"data\":\"%s\"}}\n"
			 "{\"id\":3,\"publish\":{\"channel\":\"b\",\"data\":1}}",
	    data);
	ck_assert(!test_edge_frame(conn, 't', text)); /* it is prepared in steps */
	test_edge_config.max_message = 5;
	test_turns(5);
	ck_assert(!conn->later);
	ck_assert_str_eq(test_edge_messages(conn),
	    ERROR(2, 106, "limit exceeded") "{\"id\":3,\"publish\":{}}\n");
	ck_assert_str_eq(test_read(stream), "data: {\"channel\":\"b\",\"data\":1}\n\n");
	xfree(text);
	xfree(data);
}
END_TEST

START_TEST(presence_shows_who_is_there)
{
	struct test_conn *conn;

	(void)test_call(test_admin, "channel set pres presence members");
	conn = connect_with("{\"sub\":\"u\",\"info\":{\"n\":1}}");
	(void)test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"pres\"}}");
	ck_assert_str_eq(test_edge_call(conn, "{\"id\":2,\"presence\":{\"channel\":\"pres\"}}"),
	    "{\"id\":2,\"presence\":{\"presence\":{\"u\":{\"client\":\"u\",\"user\":\"u\",\"conn_"
	    "info\":{"
	    "\"n\":1}}}}}\n");
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":2,\"presence_stats\":{\"channel\":\"pres\"}}"),
	    "{\"id\":2,\"presence_stats\":{\"num_clients\":1,\"num_users\":1}}\n");
}
END_TEST

START_TEST(presence_is_that_of_all_nodes)
{
	struct test_conn *conn;

	(void)test_call(test_admin, "channel set pres presence members");
	test_presence_begin();
	conn = connect_with("{\"sub\":\"u\"}");
	ck_assert(!test_edge_frame(conn, 't',
	    "{\"id\":2,\"presence\":{\"channel\":\"pres\"}}\n"
	    "{\"id\":3,\"presence_stats\":{\"channel\":\"pres\"}}"));
	ck_assert_str_eq(test_presence_asked(), "members pres 0 1000");
	test_presence_answer(1, 0, "v {} 1,w [ 2");
	test_turns(2);
	ck_assert_str_eq(test_presence_asked(), "count pres");
	test_presence_answer(2, 0, "- - 7");
	test_turns(2);
	ck_assert(!conn->later);
	ck_assert_str_eq(test_edge_messages(conn),
	    "{\"id\":2,\"presence\":{\"presence\":{\"v\":{\"client\":\"v\",\"user\":\"v\",\"conn_"
	    "info\":{}},\"w\":{\"client\":\"w\",\"user\":\"w\"}}}}\n"
	    "{\"id\":3,\"presence_stats\":{\"num_clients\":7,\"num_users\":7}}\n");
	ck_assert(!test_edge_frame(conn, 't', "{\"id\":4,\"presence\":{\"channel\":\"pres\"}}"));
	server_presence_lost(test_server);
	test_turns(2);
	ck_assert_str_eq(test_edge_messages(conn),
	    "{\"id\":4,\"error\":{\"code\":100,\"message\":\"internal server "
	    "error\",\"temporary\":true}}\n");
	test_presence.sends = UPSTREAM_DOWN;
	ck_assert_str_eq(
	    test_edge_call(conn, "{\"id\":5,\"presence_stats\":{\"channel\":\"pres\"}}"),
	    "{\"id\":5,\"error\":{\"code\":100,\"message\":\"internal server "
	    "error\",\"temporary\":true}}\n");
}
END_TEST

int
main(void)
{
	return testing_main("edge/commands", test_edge_setup, test_edge_teardown,
	    (const TTest *[]){wrong_parameters_are_a_bad_request, each_error_has_its_code,
		a_second_subscription_and_one_too_many_are_refused,
		without_room_in_the_hub_a_subscription_is_undone,
		several_commands_in_a_message_are_answered_in_order,
		a_command_that_ends_the_connection_is_the_last_even_if_it_took_a_whole_turn,
		a_wrong_token_ends_the_connection_and_a_missing_one_is_an_error,
		the_token_names_channels_to_begin_with,
		an_unsubscription_by_a_refresh_comes_behind_the_reply_that_began_it,
		escapes_in_subs_do_not_move_what_was_read_before,
		a_channel_of_the_token_that_is_not_allowed_ends_the_connection,
		a_subscription_ends_with_its_own_token,
		a_pattern_with_a_token_ends_also_if_the_prefix_changed,
		a_refresh_ends_the_subscriptions_that_are_not_granted_any_more,
		publications_that_were_missed_are_part_of_the_reply,
		messages_from_before_a_history_was_forgotten_are_not_shown,
		a_message_that_is_refused_after_a_wait_leaves_nothing_to_the_next,
		presence_shows_who_is_there, presence_is_that_of_all_nodes, NULL});
}
