#include "config.h"

#include "edge/socket.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/testing.h"
#include "edge/session.h"
#include "edge/testing_edge.h"
#include "server/client.h"

/* A WebSocket from its handshake to its end: pings, times, tokens and rights. */

static uint64_t
turn_at(uint64_t now_us)
{
	uint64_t wait_us = edge_turn(test_edge, now_us);

	/* The server drops what is queued for a client that is dismissed. */
	test_turns(1);
	return wait_us;
}

START_TEST(a_socket_that_does_not_connect_in_time_is_told_so)
{
	struct test_conn *conn = test_edge_join("");
	uint64_t now_us = clock_mono_us();

	ck_assert_uint_eq(test_edge_session(conn)->state, EDGE_JOINING);
	ck_assert(conn->unauthenticated);
	(void)turn_at(now_us + 9000000);
	ck_assert_str_eq(test_edge_messages(conn), "");
	(void)turn_at(now_us + 10000000);
	ck_assert_str_eq(test_edge_messages(conn), "close 3015 not authenticated in time\n");
	ck_assert(conn->finished);
	ck_assert_uint_eq(test_edge_session(conn)->state, EDGE_ENDED);
}
END_TEST

START_TEST(a_ping_that_is_answered_keeps_the_connection)
{
	struct test_conn *conn = test_edge_socket("");
	uint64_t now_us = clock_mono_us();

	for (int i = 1; i <= 3; i++) {
		now_us += 25000000;
		(void)turn_at(now_us);
		ck_assert_str_eq(test_edge_messages(conn), "{}\n");
		ck_assert_str_eq(test_edge_call(conn, "{}"), "");
		(void)turn_at(now_us + 10000000);
		ck_assert_str_eq(test_edge_messages(conn), "");
	}
	ck_assert(!conn->finished);
}
END_TEST

START_TEST(without_a_pong_the_connection_ends)
{
	struct test_conn *conn = test_edge_socket("");
	uint64_t now_us = clock_mono_us() + 25000000;

	(void)turn_at(now_us);
	(void)turn_at(now_us + 9999999);
	ck_assert_str_eq(test_edge_messages(conn), "{}\n");
	(void)turn_at(now_us + 10000000);
	ck_assert_str_eq(test_edge_messages(conn), "close 3012 no pong\n");
	ck_assert_uint_eq(test_edge_figures()->unanswered_pings, 1);
}
END_TEST

START_TEST(a_ping_is_sent_behind_messages_that_are_queued)
{
	struct test_conn *conn = test_edge_socket("");
	uint64_t now_us = clock_mono_us() + 25000000;

	(void)test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
	(void)test_call(test_admin, "publish a 1");
	(void)turn_at(now_us);
	ck_assert_str_eq(
	    test_edge_messages(conn), "{\"push\":{\"channel\":\"a\",\"pub\":{\"data\":1}}}\n{}\n");
}
END_TEST

START_TEST(a_pong_is_not_due_while_the_peer_still_reads_what_was_queued_before)
{
	struct test_conn *conn = test_edge_socket("");
	uint64_t now_us = clock_mono_us() + 25000000;

	(void)test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
	(void)test_call(test_admin, "publish a 1");
	(void)turn_at(now_us);
	conn->active_us = now_us + 7000000;
	(void)turn_at(now_us + 10000000);
	ck_assert(!conn->finished);
	(void)turn_at(now_us + 16999999);
	ck_assert(!conn->finished);
	(void)turn_at(now_us + 17000000);
	ck_assert(conn->finished);
}
END_TEST

START_TEST(what_is_no_text_or_no_command_ends_the_connection)
{
	static const struct {
		char kind;
		const char *payload;
	} bad[] = {
	    {'b', "{}"},
	    {'t', "x"},
	    {'t', "[]"},
	    {'t', "{\"id\":1}{}"},
	    {'t', "{\"id\":-1,\"connect\":{}}"},
	    {'t', "{\"id\":4294967296,\"connect\":{}}"},
	    {'t', "{\"id\":1,\"id\":1,\"connect\":{}}"},
	    {'t', "{\"connect\":{}}"},
	    {'t', "{\"nothing\":{}}"},
	    {'t', "{\"id\":1,\"subscribe\":{\"channel\":\"a\"}}"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct test_conn *conn = test_edge_join("");

		ck_assert(test_edge_frame(conn, bad[i].kind, bad[i].payload));
		ck_assert_str_eq(test_edge_messages(conn), "close 3501 bad request\n");
		ck_assert(conn->finished);
		/* Nothing more is executed. */
		ck_assert(test_edge_frame(conn, 't', "{\"id\":1,\"connect\":{}}"));
		ck_assert_str_eq(test_edge_messages(conn), "");
	}
}
END_TEST

START_TEST(control_frames_are_answered)
{
	struct test_conn *conn = test_edge_socket("");

	ck_assert(test_edge_frame(conn, 'i', "abc"));
	ck_assert_str_eq(test_edge_messages(conn), "pong abc\n");
	ck_assert(test_edge_frame(conn, 'o', "abc"));
	ck_assert_str_eq(test_edge_messages(conn), "");
	ck_assert(test_edge_frame(conn, 'c',
	    "\x03\xe8"
	    "bye"));
	ck_assert_str_eq(test_edge_messages(conn), "close 1000 \n");
	ck_assert(conn->finished);
}
END_TEST

START_TEST(an_invalid_frame_ends_the_connection_with_its_code)
{
	struct test_conn *conn = test_edge_socket("");

	edge_frame_broken(conn->client, "1009 message too big");
	ck_assert_str_eq(test_edge_messages(conn), "close 1009 message too big\n");
	edge_frame_broken(conn->client, "1002 again");
	ck_assert_str_eq(test_edge_messages(conn), "");
	ck_assert_uint_eq(test_edge_figures()->broken_frames, 2);
}
END_TEST

START_TEST(each_reason_of_an_end_has_its_code)
{
	struct test_conn *killed = test_edge_socket(""), *denied = test_edge_socket("");

	(void)test_edge_call(denied, "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
	{
		char *line = xasprintf("client kill id %llu",
		    (unsigned long long)test_edge_session(killed)->client->id);

		ck_assert_str_eq(test_call(test_admin, line), ":1\r\n");
		xfree(line);
	}
	test_turns(3);
	ck_assert_str_eq(test_edge_messages(killed), "close 3503 disconnected\n");
	(void)test_call(test_admin, "acl setuser edge resetchannels &b");
	test_turns(10);
	ck_assert_str_eq(test_edge_messages(denied), "close 3507 permission denied\n");
	ck_assert_uint_eq(test_edge_figures()->sockets_now, 0);
}
END_TEST

START_TEST(one_that_does_not_read_is_told_that_it_was_slow)
{
	struct test_conn *conn = test_edge_socket("");
	char *line = xasprintf("publish a %01000d", 1);

	(void)test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
	for (int i = 0; i < 1100 && test_edge_session(conn)->state == EDGE_SOCKET; i++)
		(void)test_call(test_admin, line);
	xfree(line);
	test_turns(3);
	ck_assert_uint_eq(test_edge_session(conn)->state, EDGE_ENDED);
	ck_assert_ptr_nonnull(strstr(test_edge_messages(conn), "close 3008 slow\n"));
}
END_TEST

START_TEST(a_change_of_rules_does_not_take_the_close_frame_of_another_end)
{
	struct test_conn *conn = test_edge_socket("");
	char *line;

	(void)test_edge_call(conn, "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
	line = xasprintf(
	    "client kill id %llu", (unsigned long long)test_edge_session(conn)->client->id);
	(void)test_call(test_admin, line);
	xfree(line);
	test_turns(3); /* its farewell is queued, and its subscription still exists */
	(void)test_call(test_admin, "acl setuser edge resetchannels &b");
	test_turns(10);
	ck_assert_ptr_null(conn->killed);
	ck_assert_str_eq(test_edge_messages(conn), "close 3503 disconnected\n");
}
END_TEST

START_TEST(the_end_of_the_token_ends_the_connection)
{
	char *token = test_edge_token("{\"sub\":\"u\",\"exp\":1000020}");
	struct test_conn *conn = test_edge_socket(token);
	uint64_t now_us = clock_mono_us();

	xfree(token);
	(void)turn_at(now_us + 19000000);
	ck_assert_str_eq(test_edge_messages(conn), "");
	(void)turn_at(now_us + 21000000);
	ck_assert_str_eq(test_edge_messages(conn), "close 3005 connection expired\n");
}
END_TEST

START_TEST(a_refreshed_token_prolongs_the_connection)
{
	char *token = test_edge_token("{\"sub\":\"u\",\"exp\":1000020}");
	char *next = test_edge_token("{\"sub\":\"u\",\"exp\":1000060}");
	char *other = test_edge_token("{\"sub\":\"v\",\"exp\":1000060}");
	struct test_conn *conn = test_edge_socket(token);
	uint64_t now_us = clock_mono_us();
	char *text = xasprintf("{\"id\":2,\"refresh\":{\"token\":\"%s\"}}", next);

	ck_assert_ptr_nonnull(strstr(test_edge_call(conn, text), "\"expires\":true,\"ttl\":60"));
	(void)turn_at(now_us + 21000000);
	ck_assert_str_eq(test_edge_messages(conn), "");
	xfree(text);
	text = xasprintf("{\"id\":3,\"refresh\":{\"token\":\"%s\"}}", other);
	ck_assert_str_eq(test_edge_call(conn, text), "close 3500 invalid token\n");
	xfree(text);
	xfree(token);
	xfree(next);
	xfree(other);
}
END_TEST

START_TEST(the_age_of_a_connection_has_a_limit)
{
	struct test_conn *conn;
	uint64_t now_us;

	test_edge_config.max_age_s = 20;
	conn = test_edge_socket("");
	now_us = clock_mono_us();
	(void)turn_at(now_us + 17000000);
	ck_assert_str_eq(test_edge_messages(conn), "");
	(void)turn_at(now_us + 22100000);
	ck_assert_str_eq(test_edge_messages(conn), "close 3011 maximum age reached\n");
	ck_assert_uint_eq(test_edge_figures()->aged_sessions, 1);
}
END_TEST

START_TEST(no_socket_is_made_in_lame_duck)
{
	struct test_conn *conn = test_edge_open();

	(void)test_call(test_admin, "shutdown grace 60");
	ck_assert_int_eq(strncmp(test_edge_get(conn, "/ws",
				     "Upgrade: websocket\nConnection: Upgrade\n"
				     "Sec-WebSocket-Version: 13\n"
				     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"),
			     "HTTP/1.1 503 ", 13),
	    0);
	ck_assert_uint_eq(test_edge_session(conn)->state, EDGE_REQUESTS);
}
END_TEST

int
main(void)
{
	return testing_main("edge/socket", test_edge_setup, test_edge_teardown,
	    (const TTest *[]){a_socket_that_does_not_connect_in_time_is_told_so,
		a_ping_that_is_answered_keeps_the_connection, without_a_pong_the_connection_ends,
		a_ping_is_sent_behind_messages_that_are_queued,
		a_pong_is_not_due_while_the_peer_still_reads_what_was_queued_before,
		what_is_no_text_or_no_command_ends_the_connection, control_frames_are_answered,
		an_invalid_frame_ends_the_connection_with_its_code,
		each_reason_of_an_end_has_its_code, one_that_does_not_read_is_told_that_it_was_slow,
		a_change_of_rules_does_not_take_the_close_frame_of_another_end,
		the_end_of_the_token_ends_the_connection, a_refreshed_token_prolongs_the_connection,
		the_age_of_a_connection_has_a_limit, no_socket_is_made_in_lame_duck, NULL});
}
