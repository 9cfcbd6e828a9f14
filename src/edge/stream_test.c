#include "config.h"

#include "edge/stream.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/testing.h"
#include "edge/session.h"
#include "edge/testing_edge.h"
#include "pubsub/hub.h"
#include "pubsub/hub_replay.h"
#include "server/client.h"
#include "server/core.h"

#define HEAD                                                                                       \
	"HTTP/1.1 200 OK\r\n"                                                                      \
	"Content-Type: text/event-stream\r\n"                                                      \
	"Cache-Control: no-cache, no-store, no-transform\r\n"                                      \
	"X-Accel-Buffering: no\r\n"                                                                \
	"Vary: Origin\r\n"                                                                         \
	"Connection: close\r\n"                                                                    \
	"\r\n"                                                                                     \
	"retry: 1000\n"

static size_t
subscriptions(void)
{
	return hub_figures(test_server->hub).subscriptions;
}

static uint64_t
status_of(const char *response)
{
	ck_assert_msg(strncmp(response, "HTTP/1.1 ", 9) == 0, "%s", response);
	return (uint64_t)(response[9] - '0') * 100 + (uint64_t)(response[10] - '0') * 10 +
	       (uint64_t)(response[11] - '0');
}

START_TEST(a_stream_begins_with_its_head_and_goes_on_with_messages)
{
	struct test_conn *conn = test_edge_open();

	ck_assert_str_eq(test_edge_get(conn, "/sse?channel=a", ""), HEAD "\n");
	ck_assert(conn->switched && conn->protocol == SERVER_PROTOCOL_NONE);
	ck_assert_str_eq(test_call(test_admin, "publish a x"), ":1\r\n");
	ck_assert_str_eq(test_read(conn), "data: x\n\n");
	ck_assert_uint_eq(test_edge_figures()->streams_now, 1);
	test_close(conn);
	ck_assert_uint_eq(test_edge_figures()->streams_now, 0);
}
END_TEST

START_TEST(a_position_precedes_the_messages_of_channels_that_keep_them)
{
	struct test_conn *conn = test_edge_stream("channel=keep_a");
	const char *text;

	(void)test_call(test_admin, "publish keep_a x");
	text = test_read(conn);
	ck_assert_ptr_nonnull(strstr(text, "data: x\n"));
	ck_assert_msg(strncmp(text, "id: ", 4) == 0 || strstr(text, "\nid: ") != NULL, "%s", text);
}
END_TEST

START_TEST(a_refused_request_leaves_the_connection_for_the_next)
{
	static const struct {
		const char *target;
		uint64_t status;
	} refused[] = {
	    {"/sse", 400},
	    {"/sse?channel=", 400},
	    {"/sse?channel=a&format=xml", 400},
	    {"/sse?channel=%zz", 400},
	    {"/sse?channel=%00", 400},
	    {"/sse?channel=a&channel=b&channel=c&channel=d&channel=e", 400},
	    {"/sse/", 404},
	    {"/nowhere", 404},
	    {"/sse?channel=a&token=x", 401},
	};
	struct test_conn *conn = test_edge_open();

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		uint64_t status = status_of(test_edge_get(conn, refused[i].target, ""));

		ck_assert_msg(
		    status == refused[i].status || (refused[i].status == 404 && status == 400),
		    "%s: %d", refused[i].target, (int)status);
		ck_assert_uint_eq(test_edge_session(conn)->state, EDGE_REQUESTS);
		ck_assert_ptr_null(test_edge_session(conn)->opening);
		ck_assert_uint_eq(subscriptions(), 0);
	}
	ck_assert_uint_eq(status_of(test_edge_get(conn, "/sse?channel=a", "")), 200);
}
END_TEST

START_TEST(a_channel_without_rights_is_refused_by_name)
{
	struct test_conn *conn = test_edge_open();

	(void)test_call(test_admin, "acl setuser edge resetchannels &a");
	ck_assert_uint_eq(status_of(test_edge_get(conn, "/sse?channel=a&channel=b", "")), 403);
	ck_assert_uint_eq(status_of(test_edge_get(conn, "/sse?pattern=a", "")), 200);
	ck_assert_uint_eq(test_edge_figures()->denied_rights, 1);
}
END_TEST

START_TEST(without_room_for_subscriptions_a_browser_is_asked_to_come_back)
{
	struct test_conn *conn = test_edge_open(), *strict = test_edge_open();

	test_config.hub.subscriptions = 2;
	server_reconfigured(test_server);
	ck_assert_str_eq(test_edge_get(conn, "/sse?channel=keep_a&pattern=b*&channel=c", ""),
	    HEAD ": max number of subscriptions reached\n\n");
	ck_assert_uint_eq(subscriptions(), 0);
	ck_assert(conn->finished);
	ck_assert_uint_eq(test_edge_session(conn)->state, EDGE_ENDED);
	ck_assert_uint_eq(
	    status_of(test_edge_get(strict, "/sse?channel=a&channel=b&channel=c&strict=1", "")),
	    503);
	ck_assert_uint_eq(subscriptions(), 0);
	ck_assert(!strict->finished);
	ck_assert_uint_eq(
	    status_of(test_edge_get(strict, "/sse?channel=a&channel=b&strict=1", "")), 200);
	ck_assert_uint_eq(subscriptions(), 2);
}
END_TEST

START_TEST(a_refused_stream_leaves_no_replay_to_the_next_request)
{
	struct test_conn *conn = test_edge_open();

	test_config.hub.subscriptions = 1;
	server_reconfigured(test_server);
	ck_assert_uint_eq(status_of(test_edge_get(conn,
			      "/sse?channel=keep_a&channel=keep_b&last_event_id=0&strict=1", "")),
	    503);
	test_turns(3);
	ck_assert_uint_eq(hub_replay_figures(test_server->hub).cursors, 0);
	ck_assert(!conn->client->subscriber.dedup);
}
END_TEST

START_TEST(too_many_subscribers_of_a_channel_undo_the_others)
{
	struct test_conn *first = test_edge_stream("channel=b"), *conn = test_edge_open();

	(void)first;
	test_config.hub.subscribers = 1;
	server_reconfigured(test_server);
	ck_assert_str_eq(test_edge_get(conn, "/sse?channel=a&pattern=c*&channel=b", ""),
	    HEAD ": max number of subscribers reached\n\n");
	ck_assert_uint_eq(subscriptions(), 1);
}
END_TEST

START_TEST(lame_duck_asks_to_come_back)
{
	struct test_conn *conn = test_edge_open(), *strict = test_edge_open();

	(void)test_call(test_admin, "shutdown grace 60");
	ck_assert_str_eq(
	    test_edge_get(conn, "/sse?channel=a", ""), HEAD ": the server is shutting down\n\n");
	ck_assert_uint_eq(status_of(test_edge_get(strict, "/sse?channel=a&strict=1", "")), 503);
}
END_TEST

START_TEST(a_heartbeat_comes_after_silence_and_an_end_at_the_end_of_the_token)
{
	char *token = test_edge_token("{\"sub\":\"u\",\"exp\":1000020,\"channels\":[\"a\"]}");
	char *query = xasprintf("channel=a&token=%s", token);
	struct test_conn *conn = test_edge_stream(query);
	uint64_t now_us = clock_mono_us();

	xfree(query);
	xfree(token);
	(void)edge_turn(test_edge, now_us + 14000000);
	ck_assert_str_eq(test_read(conn), "");
	(void)edge_turn(test_edge, now_us + 15000000);
	ck_assert_str_eq(test_read(conn), ":\n\n");
	(void)edge_turn(test_edge, now_us + 19000000);
	ck_assert(!conn->finished);
	(void)edge_turn(test_edge, now_us + 20000000);
	ck_assert_str_eq(test_read(conn), "event: expired\ndata: {}\n\n");
	ck_assert(conn->finished);
	ck_assert_uint_eq(test_edge_session(conn)->state, EDGE_ENDED);
	ck_assert_uint_eq(test_edge_figures()->expired_sessions, 1);
	ck_assert_uint_eq(edge_turn(test_edge, now_us + 90000000), UINT64_MAX);
}
END_TEST

START_TEST(a_user_that_loses_the_channel_loses_the_stream)
{
	struct test_conn *conn = test_edge_stream("channel=a");

	(void)test_call(test_admin, "acl setuser edge resetchannels &b");
	test_turns(10);
	/* A stream has no last word: it is closed at once. */
	ck_assert_ptr_nonnull(conn->killed);
	test_close(conn);
	ck_assert_uint_eq(test_edge_figures()->streams_now, 0);
}
END_TEST

START_TEST(an_invalid_request_is_answered_and_ends_the_connection)
{
	struct test_conn *conn = test_edge_open();

	edge_broken(conn->client, "400 line ends with a bare LF");
	ck_assert_uint_eq(status_of(test_read(conn)), 400);
	ck_assert(test_edge_send(conn, "GET /healthz", "", ""));
	ck_assert_str_eq(test_read(conn), "");
	edge_broken(conn->client, "400 again");
	ck_assert_str_eq(test_read(conn), "");
}
END_TEST

int
main(void)
{
	return testing_main("edge/stream", test_edge_setup, test_edge_teardown,
	    (const TTest *[]){a_stream_begins_with_its_head_and_goes_on_with_messages,
		a_position_precedes_the_messages_of_channels_that_keep_them,
		a_refused_request_leaves_the_connection_for_the_next,
		a_channel_without_rights_is_refused_by_name,
		without_room_for_subscriptions_a_browser_is_asked_to_come_back,
		a_refused_stream_leaves_no_replay_to_the_next_request,
		too_many_subscribers_of_a_channel_undo_the_others, lame_duck_asks_to_come_back,
		a_heartbeat_comes_after_silence_and_an_end_at_the_end_of_the_token,
		a_user_that_loses_the_channel_loses_the_stream,
		an_invalid_request_is_answered_and_ends_the_connection, NULL});
}
