#include "config.h"

#include "edge/opening.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/testing.h"
#include "edge/session.h"
#include "edge/testing_edge.h"
#include "pubsub/hub.h"
#include "pubsub/hub_gather.h"
#include "server/client.h"
#include "server/core.h"
#include "server/request.h"

/* How streams go on: each verdict, and what happens while the channels of patterns are gathered. */

/* More rings than one turn looks at. */
#define RINGS 3000

static size_t
subscriptions(void)
{
	return hub_figures(test_server->hub).subscriptions;
}

static void
publish(const char *channel, int number)
{
	char *line = xasprintf("publish %s %d", channel, number);

	ck_assert_int_eq(test_call(test_admin, line)[0], ':');
	xfree(line);
}

/* The hub's position; owned. */
static char *
position(void)
{
	const char *reply = test_call(test_admin, "history position");

	return xasprintf(
	    "%.*s", (int)strcspn(strchr(reply, '\n') + 1, "\r"), strchr(reply, '\n') + 1);
}

/* Asks for a stream behind a position; what has come when it is open. */
static const char *
resume(struct test_conn *conn, const char *query, const char *since)
{
	char *line = xasprintf("GET /sse?%s", query),
	     *headers = xasprintf("Last-Event-ID: %s\n", since);
	const char *text;

	if (test_edge_send(conn, line, headers, ""))
		test_turns(3);
	else
		ck_assert_ptr_nonnull(test_edge_session(conn)->opening);
	text = test_finish(conn);
	xfree(line);
	xfree(headers);
	return text;
}

START_TEST(all_channels_and_patterns_go_on_behind_one_position)
{
	struct test_conn *conn = test_edge_open();
	const char *text, *first, *second, *third;
	char *since;

	publish("keep_a", 1);
	since = position();
	publish("keep_b1", 2);
	publish("keep_a", 3);
	publish("keep_b2", 4);
	text = resume(conn, "channel=keep_a&pattern=keep_b*&format=raw", since);
	first = strstr(text, "data: 2\n");
	second = strstr(text, "data: 3\n");
	third = strstr(text, "data: 4\n");
	ck_assert_msg(first != NULL && second > first && third > second, "%s", text);
	ck_assert_ptr_null(strstr(text, "data: 1\n"));
	ck_assert_ptr_null(strstr(text, "lagged"));
	ck_assert_uint_eq(test_edge_figures()->resumed, 1);
	xfree(since);
}
END_TEST

START_TEST(a_position_of_another_epoch_is_lost_for_each_name)
{
	static const char *const foreign[] = {"7-1", "not-ours", "*"};

	publish("keep_a", 1);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		const char *text =
		    resume(test_edge_open(), "channel=keep_a&pattern=keep_b*", foreign[i]);

		ck_assert_msg(
		    strstr(text, "event: lagged\ndata: {\"channels\":[\"keep_a\",\"keep_b*\"],"
				 "\"reload\":true}\n\n") != NULL,
		    "%s", text);
	}
	ck_assert_uint_eq(test_edge_figures()->lost, 3);
}
END_TEST

START_TEST(a_channel_that_keeps_nothing_is_not_said_to_be_lost)
{
	char *since = position();

	ck_assert_ptr_null(strstr(resume(test_edge_open(), "channel=plain", since), "lagged"));
	xfree(since);
}
END_TEST

START_TEST(what_the_history_dropped_is_lost_and_the_others_go_on)
{
	char *since;
	const char *text;

	(void)test_call(test_admin, "channel set keep_short history-size 1 history-ttl 60");
	publish("keep_short", 1);
	publish("keep_a", 1);
	since = position();
	for (int i = 2; i < 5; i++)
		publish("keep_short", i);
	publish("keep_a", 7);
	text = resume(test_edge_open(), "channel=keep_short&channel=keep_a&format=raw", since);
	ck_assert_msg(
	    strstr(text, "{\"channels\":[\"keep_short\"],\"reload\":true}") != NULL, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "data: 7\n"));
	xfree(since);
}
END_TEST

/* A request for a stream of all channels, which has to wait. more: further headers. */
static struct test_conn *
begin_long_with(const char *more, char **since)
{
	struct test_conn *conn = test_edge_open();
	char name[32], *headers;

	*since = position();
	for (int i = 0; i < RINGS; i++) {
		snprintf(name, sizeof(name), "keep_%d", i);
		publish(name, i);
	}
	headers = xasprintf("Last-Event-ID: %s\n%s", *since, more);
	ck_assert(!test_edge_send(conn, "GET /sse?pattern=keep_*&format=raw", headers, ""));
	ck_assert_uint_eq(test_edge_session(conn)->state, EDGE_OPENING);
	ck_assert_uint_eq(subscriptions(), 0);
	xfree(headers);
	return conn;
}

static struct test_conn *
begin_long(char **since)
{
	return begin_long_with("", since);
}

START_TEST(a_client_that_leaves_while_channels_are_gathered_leaves_nothing)
{
	char *since;
	struct test_conn *conn = begin_long(&since);

	test_close(conn);
	test_turns(50);
	ck_assert_uint_eq(subscriptions(), 0);
	xfree(since);
}
END_TEST

START_TEST(rights_that_are_lost_while_channels_are_gathered_refuse_the_stream)
{
	char *since;
	struct test_conn *conn = begin_long(&since);

	(void)test_call(test_admin, "acl setuser edge resetchannels &other");
	ck_assert_int_eq(strncmp(test_finish(conn), "HTTP/1.1 403 ", 13), 0);
	ck_assert_uint_eq(test_edge_session(conn)->state, EDGE_REQUESTS);
	ck_assert_uint_eq(subscriptions(), 0);
	xfree(since);
}
END_TEST

START_TEST(lame_duck_while_channels_are_gathered_asks_to_come_back)
{
	char *since;
	struct test_conn *conn = begin_long(&since);

	(void)test_call(test_admin, "shutdown grace 60");
	ck_assert_ptr_nonnull(strstr(test_finish(conn), ": the server is shutting down\n\n"));
	ck_assert_uint_eq(subscriptions(), 0);
	xfree(since);
}
END_TEST

START_TEST(messages_that_are_dropped_while_channels_are_gathered_are_told_as_lost)
{
	char *since;
	struct test_conn *conn = begin_long(&since);
	const char *text;

	(void)test_call(test_admin, "history del keep_5");
	text = test_finish(conn);
	ck_assert_msg(
	    strstr(text, "{\"channels\":[\"keep_*\"],\"reload\":true}") != NULL, "%.600s", text);
	xfree(since);
}
END_TEST

START_TEST(a_channel_that_expires_is_lost_and_the_pattern_over_it_goes_on)
{
	struct test_conn *conn = test_edge_open();
	struct request rq = {
	    .server = test_server, .client = conn->client, .now_us = clock_recent_us()};
	struct edge_opening *opening = edge_opening_new(&conn->client->subscriber);
	const struct edge_name *failed;
	struct position_since since;
	char *at = position();

	publish("keep_a", 1);
	ck_assert(position_parse_since(slice_of(at), &since));
	edge_opening_add(opening, SLICE("keep_a"), false, &since);
	edge_opening_add(opening, SLICE("keep_*"), true, &since);
	ck_assert(edge_opening_step(opening, &rq));
	ck_assert_int_eq(edge_opening_subscribe(opening, rq.now_us + 61000000, &failed), HUB_OK);
	ck_assert_int_eq(edge_opening_name(opening, 0)->verdict, HUB_LOST);
	ck_assert_uint_eq(subscriptions(), 2);
	hub_start_replay(&conn->client->subscriber);
	edge_opening_free(opening);
	xfree(at);
}
END_TEST

static bool has_proxy; /* every peer is a proxy */
static int admitted;

static bool
is_forwarder(void *arg, const char *address)
{
	(void)arg;
	return has_proxy && strncmp(address, "127.0.0.1:", 10) == 0;
}

static bool
read_address(void *arg, struct slice text, struct edge_address *address)
{
	(void)arg;
	*address = (struct edge_address){.text = "192.0.2.7:0", .origin = "net7", .origin_len = 4};
	return slice_is(text, "192.0.2.7");
}

static bool
admit_address(void *arg, const char *address, struct slice origin)
{
	(void)arg;
	admitted++;
	return strcmp(address, "192.0.2.7:0") == 0 && slice_is(origin, "net7");
}

static void
leave_address(void *arg, struct slice origin)
{
	(void)arg;
	admitted--;
	ck_assert(slice_is(origin, "net7"));
}

START_TEST(a_proxy_that_is_none_any_more_when_a_stream_begins_leaves_no_count)
{
	struct test_conn *conn;
	char *since;

	test_edge->io.is_forwarder = is_forwarder;
	test_edge->io.read_address = read_address;
	test_edge->io.admit_address = admit_address;
	test_edge->io.leave_address = leave_address;
	has_proxy = true;
	conn = begin_long_with("X-Forwarded-For: 192.0.2.7\n", &since);
	ck_assert_int_eq(admitted, 1);
	has_proxy = false;
	ck_assert_int_eq(strncmp(test_finish(conn), "HTTP/1.1 200 ", 13), 0);
	ck_assert_uint_eq(test_edge_session(conn)->state, EDGE_STREAM);
	ck_assert_int_eq(admitted, 0);
	xfree(since);
}
END_TEST

static struct hub_gather *gathers[HUB_GATHERS_MAX];

static void
begin_gathers(size_t count)
{
	for (size_t i = 0; i < count; i++)
		gathers[i] = hub_gather_new(test_server->hub, 1);
}

static void
end_gathers(size_t count)
{
	for (size_t i = 0; i < count; i++)
		hub_gather_free(gathers[i]);
}

/* Two patterns that go on behind `since`, and channels. */
static struct edge_opening *
open_patterns(struct test_conn *conn, const char *since)
{
	struct edge_opening *opening = edge_opening_new(&conn->client->subscriber);
	struct position_since at;
	char name[16];

	ck_assert(position_parse_since(slice_of(since), &at));
	edge_opening_add(opening, SLICE("keep_a*"), true, &at);
	edge_opening_add(opening, SLICE("keep_b*"), true, &at);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		edge_opening_add(opening, slice_of(name), false, NULL);
	}
	return opening;
}

/* A step of a turn that has this time left: all of it, or none. */
static bool
step(struct edge_opening *opening, struct test_conn *conn, bool has_time)
{
	struct request rq = {.server = test_server,
	    .client = conn->client,
	    .now_us = has_time ? clock_recent_us() : 0,
	    .in_transaction = has_time};

	return edge_opening_step(opening, &rq);
}

START_TEST(patterns_are_not_judged_while_many_others_gather)
{
	struct test_conn *conn = test_edge_open();
	char *since = position();
	struct edge_opening *opening = open_patterns(conn, since);

	begin_gathers(HUB_GATHERS_MAX);
	for (int i = 0; i < 3; i++)
		ck_assert(!step(opening, conn, true));
	hub_gather_free(gathers[HUB_GATHERS_MAX - 1]);
	ck_assert(step(opening, conn, true));
	end_gathers(HUB_GATHERS_MAX - 1);
	edge_opening_free(opening);
	xfree(since);
}
END_TEST

START_TEST(a_gather_of_all_patterns_waits_while_many_others_gather)
{
	struct test_conn *conn = test_edge_open();
	char *since = position();
	struct edge_opening *opening = open_patterns(conn, since);

	publish("keep_a", 1);
	ck_assert(!step(opening, conn, false)); /* the patterns are judged, not all channels are */
	begin_gathers(HUB_GATHERS_MAX);
	for (int i = 0; i < 3; i++)
		ck_assert(!step(opening, conn, true));
	ck_assert_int_eq(edge_opening_name(opening, 0)->verdict, HUB_RESUMED);
	ck_assert_int_eq(edge_opening_name(opening, 1)->verdict, HUB_RESUMED);
	hub_gather_free(gathers[HUB_GATHERS_MAX - 1]);
	ck_assert(step(opening, conn, true));
	ck_assert(!hub_gather_may_begin(test_server->hub)); /* its own is the last one */
	edge_opening_free(opening);
	ck_assert(hub_gather_may_begin(test_server->hub));
	end_gathers(HUB_GATHERS_MAX - 1);
	xfree(since);
}
END_TEST

int
main(void)
{
	return testing_main("edge/opening", test_edge_setup, test_edge_teardown,
	    (const TTest *[]){all_channels_and_patterns_go_on_behind_one_position,
		a_position_of_another_epoch_is_lost_for_each_name,
		a_channel_that_keeps_nothing_is_not_said_to_be_lost,
		what_the_history_dropped_is_lost_and_the_others_go_on,
		a_client_that_leaves_while_channels_are_gathered_leaves_nothing,
		rights_that_are_lost_while_channels_are_gathered_refuse_the_stream,
		lame_duck_while_channels_are_gathered_asks_to_come_back,
		messages_that_are_dropped_while_channels_are_gathered_are_told_as_lost,
		a_channel_that_expires_is_lost_and_the_pattern_over_it_goes_on,
		a_proxy_that_is_none_any_more_when_a_stream_begins_leaves_no_count,
		patterns_are_not_judged_while_many_others_gather,
		a_gather_of_all_patterns_waits_while_many_others_gather, NULL});
}
