#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/testing_presence.h"
#include "cmd/testing_server.h"
#include "pubsub/hub.h"
#include "server/client.h"
#include "server/core.h"
#include "server/pause.h"
#include "server/presence_service.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "server/upstream.h"
#include "server/wait.h"

/* Presence with an upstream that keeps the members of several nodes. */

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)
#define DOWN "-CLUSTERDOWN The link to the upstream is down\r\n"

static struct test_conn *ann, *ben;

static void
setup(void)
{
	test_setup();
	test_config.presence =
	    (struct presence_limits){.members = 2000, .joins = 2000, .memory_bytes = 1 << 22};
	test_channel_line(
	    "room*", "presence members events occupied,join leave-delay 0 vacate-delay 0");
	test_channel_line("still*", "presence members leave-delay 0 vacate-delay 0");
	test_channel_line(
	    "count*", "presence count events occupied,join leave-delay 0 vacate-delay 0");
	test_presence_begin();
	ann = test_open();
	ben = test_open();
}

static size_t
waiting(void)
{
	return test_server->waits->queues[WAIT_UPSTREAM_PRESENCE].count;
}

START_TEST(a_change_is_told_with_its_event)
{
	assert_says(ann, "presence join room ann info x", ":1\r\n");
	ck_assert_str_eq(test_presence_told(),
	    "join room ann=x* > __presence__:room "
	    "{\"event\":\"join\",\"member\":\"ann\",\"info\":\"x\"}\n"
	    "occupied room > __occupancy__:room {\"event\":\"occupied\"}\n");
	assert_says(ann, "presence leave room ann", ":1\r\n");
	ck_assert_str_eq(test_presence_told(),
	    "leave room ann=x > __presence__:room "
	    "{\"event\":\"leave\",\"member\":\"ann\",\"info\":\"x\"}\n"
	    "vacated room > __occupancy__:room {\"event\":\"vacated\"}\n");
}
END_TEST

START_TEST(a_change_without_an_event_is_told_without)
{
	test_call(ann, "presence join still ann");
	test_call(ann, "presence leave still ann");
	test_call(ann, "presence join count ann info x");
	ck_assert_str_eq(test_presence_told(),
	    "join count ann=*\noccupied count > __occupancy__:count {\"event\":\"occupied\"}\n");
	test_call(ann, "presence join still ann");
	ck_assert_str_eq(test_presence_told(), "join still ann=*\noccupied still\n");
	test_call(ann, "presence leave count ann");
	ck_assert_str_eq(test_presence_told(),
	    "leave count ann=\nvacated count > __occupancy__:count {\"event\":\"vacated\"}\n");
	test_call(ann, "presence touch still ann ttl 100");
	test_call(ann, "presence leave still ann");
	ck_assert_str_eq(test_presence_told(), "join still ann=\n");
}
END_TEST

START_TEST(nothing_is_published_here)
{
	test_call(ben, "psubscribe __*__:*");
	test_call(ann, "presence join room ann");
	(void)test_presence_told();
	ck_assert_str_eq(test_read(ben), "");
	ck_assert_uint_eq(test_server->statistics->counters.presence_events, 0);
	server_presence_told(test_server, true);
	server_presence_told(test_server, false);
	ck_assert_uint_eq(test_server->statistics->counters.presence_events, 1);
}
END_TEST

START_TEST(an_event_with_a_name_that_is_too_long_is_counted)
{
	test_config.hub.name_bytes = strlen("__presence__:room") - 1;
	test_call(ann, "presence join room ann");
	ck_assert_str_eq(test_presence_told(), "join room ann=*\noccupied room\n");
	ck_assert_uint_eq(test_server->statistics->counters.skipped_presence_events, 2);
}
END_TEST

/* Without room the loop has nothing to do. */
START_TEST(changes_wait_for_room_and_are_those_of_then)
{
	uint64_t wait_us;

	test_presence.room = 0;
	test_call(ann, "presence join room ann");
	test_call(ben, "presence join room ben");
	test_call(ann, "presence leave room ann");
	ck_assert_str_eq(test_presence_told(), "");
	wait_us =
	    presence_service_turn(test_server, test_server->now_us, test_server->now_us + 1000000);
	ck_assert_uint_gt(wait_us, 1000000);
	test_presence.room = 1;
	ck_assert_str_eq(test_presence_told(),
	    "join room ben=* > __presence__:room "
	    "{\"event\":\"join\",\"member\":\"ben\",\"info\":\"\"}\n");
	test_presence.room = 1;
	ck_assert_str_eq(
	    test_presence_told(), "occupied room > __occupancy__:room {\"event\":\"occupied\"}\n");
	ck_assert_str_eq(test_presence_told(), "");
}
END_TEST

START_TEST(all_members_are_registered_again)
{
	test_call(ann, "presence join still ann");
	test_call(ben, "presence join still ben info x");
	(void)test_presence_told();
	server_presence_register(test_server);
	test_presence.room = 1;
	(void)test_presence_told();
	ck_assert_uint_eq(test_presence.registered, 0);
	test_presence.room = 1000;
	ck_assert_ptr_nonnull(strstr(test_presence_told(), "occupied still\n"));
	server_presence_register(test_server);
	ck_assert_uint_eq(strlen(test_presence_told()),
	    strlen("join still ann=*\njoin still ben=x*\noccupied still\n"));
	ck_assert_uint_eq(test_presence.registered, 2);
}
END_TEST

START_TEST(the_state_is_that_of_now)
{
	struct upstream_presence_change change;

	(void)test_presence_told();
	test_call(ann, "presence join room ann info x");
	server_presence_state(test_server, SLICE("room"), SLICE("ann"), &change);
	ck_assert_str_eq(test_presence_text(&change),
	    "join room ann=x* > __presence__:room "
	    "{\"event\":\"join\",\"member\":\"ann\",\"info\":\"x\"}");
	server_presence_state(test_server, SLICE("room"), SLICE("ben"), &change);
	ck_assert_int_eq(change.kind, PRESENCE_NO_EVENT);
	server_presence_state(test_server, SLICE("room"), SLICE(""), &change);
	ck_assert_str_eq(test_presence_text(&change),
	    "occupied room > __occupancy__:room {\"event\":\"occupied\"}");
	server_presence_state(test_server, SLICE("still"), SLICE(""), &change);
	ck_assert_int_eq(change.kind, PRESENCE_NO_EVENT);
	server_presence_state(test_server, SLICE("off"), SLICE("ann"), &change);
	ck_assert_int_eq(change.kind, PRESENCE_NO_EVENT);
	test_presence.room = 1000;
	ck_assert_str_eq(test_presence_told(), "");
	test_call(ann, "presence leave room ann");
	server_presence_state(test_server, SLICE("room"), SLICE("ann"), &change);
	ck_assert_str_eq(test_presence_text(&change),
	    "leave room ann=x > __presence__:room "
	    "{\"event\":\"leave\",\"member\":\"ann\",\"info\":\"x\"}");
	ck_assert_ptr_null(strstr(test_presence_told(), "leave"));
}
END_TEST

START_TEST(what_was_at_another_node_leaves)
{
	struct upstream_presence_change change;

	test_call(ann, "presence join room ann");
	server_presence_expired(test_server, SLICE("room"), SLICE("ann"), SLICE("y"), &change);
	ck_assert_str_eq(test_presence_text(&change),
	    "leave room ann=y > __presence__:room "
	    "{\"event\":\"leave\",\"member\":\"ann\",\"info\":\"y\"}");
	server_presence_expired(test_server, SLICE("room"), SLICE(""), SLICE(""), &change);
	ck_assert_str_eq(test_presence_text(&change),
	    "vacated room > __occupancy__:room {\"event\":\"vacated\"}");
}
END_TEST

START_TEST(nothing_is_told_after_the_end)
{
	test_call(ann, "presence join room ann");
	(void)test_presence_told();
	presence_share_end(test_server);
	presence_share_end(test_server);
	ck_assert_uint_gt(test_presence.lease_ms, 0);
	test_call(ann, "presence leave room ann");
	ck_assert_str_eq(test_presence_told(), "");
}
END_TEST

START_TEST(a_process_that_has_handed_over_ends)
{
	test_server->pause->handed_over = true;
	ck_assert_str_eq(test_presence_told(), "");
	ck_assert_uint_gt(test_presence.lease_ms, 0);
	test_server->pause->handed_over = false;
}
END_TEST

START_TEST(members_are_those_that_the_upstream_has)
{
	ck_assert(!test_send(ann, "presence members room"));
	ck_assert_str_eq(test_presence_asked(), "members room 0 100");
	ck_assert_uint_eq(waiting(), 1);
	test_presence_answer(1, 7, "ann x 2,ben  0");
	ck_assert_str_eq(test_finish(ann),
	    "*2\r\n$1\r\n7\r\n*6\r\n$3\r\nann\r\n$1\r\nx\r\n:2\r\n$3\r\nben\r\n$0\r\n\r\n:0\r\n");
	ck_assert(!test_send(ann, "presence members room cursor 18446744073709551615 count 1000"));
	ck_assert_str_eq(test_presence_asked(), "members room 18446744073709551615 1000");
	test_presence_answer(2, 0, "");
	ck_assert_str_eq(test_finish(ann), "*2\r\n$1\r\n0\r\n*0\r\n");
	ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(what_this_node_refuses_is_not_asked)
{
	assert_says(
	    ann, "presence members count", "-ERR the members of this channel are only counted\r\n");
	assert_says(ann, "presence members off", "-ERR presence is off for this channel\r\n");
	assert_says(ann, "presence members room count 1001", "-ERR COUNT must be 1 to 1000\r\n");
	ck_assert_uint_eq(test_presence.queries, 0);
}
END_TEST

START_TEST(answers_go_to_those_who_asked_and_still_wait)
{
	struct test_conn *c = test_open();

	ck_assert(!test_send(ann, "presence count a"));
	ck_assert(!test_send(ben, "presence count b"));
	ck_assert(!test_send(c, "presence count c"));
	test_presence_answer(1, 0, "- - 1");
	test_close(ben);
	test_presence_answer(2, 0, "- - 2");
	ck_assert(c->later && c->resumed == 0);
	test_presence_answer(3, 0, "- - 3");
	ck_assert_str_eq(test_finish(ann), "*2\r\n$1\r\na\r\n:1\r\n");
	ck_assert_str_eq(test_finish(c), "*2\r\n$1\r\nc\r\n:3\r\n");
}
END_TEST

START_TEST(many_channels_are_counted_in_parts)
{
	struct buffer line = {0}, items = {0}, expected = {0};

	buffer_append_str(&line, "presence count");
	buffer_appendf(&expected, "*3000\r\n");
	for (int i = 0; i < 1500; i++) {
		buffer_appendf(&line, " c%04d", i);
		buffer_appendf(&expected, "$5\r\nc%04d\r\n:%d\r\n", i, i % 1000);
	}
	for (int i = 0; i < 1000; i++)
		buffer_appendf(&items, "%s- - %d", i > 0 ? "," : "", i);
	buffer_append(&line, "", 1);
	buffer_append(&items, "", 1);
	buffer_append(&expected, "", 1);
	ck_assert(!test_send(ann, line.ptr));
	test_presence_answer(1, 0, items.ptr);
	test_turns(2);
	ck_assert_uint_eq(test_presence.queries, 2);
	ck_assert_ptr_nonnull(strstr(test_presence_asked(), "count c1000 c1001 "));
	*strstr(items.ptr, ",- - 500") = '\0';
	test_presence_answer(2, 0, items.ptr);
	ck_assert_str_eq(test_finish(ann), expected.ptr);
	buffer_release(&line);
	buffer_release(&items);
	buffer_release(&expected);
}
END_TEST

START_TEST(channels_are_listed_page_by_page)
{
	ck_assert(!test_send(ann, "presence channels r*"));
	ck_assert_str_eq(test_presence_asked(), "channels");
	test_presence_answer(1, 1, "q - 1,ra - 2");
	test_turns(2);
	ck_assert_str_eq(test_presence_asked(), "channels after ra");
	test_presence_answer(2, 0, "rb - 1,s - 1");
	ck_assert_str_eq(test_finish(ann), "*2\r\n$2\r\nra\r\n$2\r\nrb\r\n");
	ck_assert(!test_send(ann, "presence channels"));
	test_presence_answer(3, 1, "");
	ck_assert_str_eq(test_finish(ann), "*0\r\n");
}
END_TEST

START_TEST(a_channel_that_the_user_may_not_receive_is_not_listed)
{
	test_call(ben, "acl setuser u on nopass +@all resetchannels &ra");
	test_call(ann, "auth u x");
	ck_assert(!test_send(ann, "presence channels"));
	test_presence_answer(1, 0, "ra - 1,rb - 1");
	ck_assert_str_eq(test_finish(ann), "*1\r\n$2\r\nra\r\n");
}
END_TEST

/* Rules that change while it waits are those of the reply. */
START_TEST(a_user_that_loses_its_rights_gets_no_answer)
{
	test_call(ben, "acl setuser u on nopass +@all allchannels");
	test_call(ann, "auth u x");
	ck_assert(!test_send(ann, "presence count room"));
	test_call(ben, "acl setuser u -presence|count");
	test_presence_answer(1, 0, "- - 1");
	ck_assert_ptr_nonnull(strstr(test_finish(ann), "-NOPERM"));
}
END_TEST

START_TEST(a_long_list_of_channels_is_whole)
{
	struct buffer items = {0};
	size_t pages = 20, len = 0;

	ck_assert(!test_send(ann, "presence channels"));
	for (int i = 0; i < 1000; i++)
		buffer_appendf(&items, "%sa%0100d - 1", i > 0 ? "," : "", i);
	buffer_append(&items, "", 1);
	for (size_t i = 1; i <= pages; i++) {
		test_presence_answer(i, i < pages, items.ptr);
		if (i < pages)
			test_turns(2);
	}
	len = strlen(test_finish(ann));
	ck_assert_uint_eq(
	    len, strlen("*20000\r\n") + pages * 1000 * (101 + strlen("$101\r\n\r\n")));
	buffer_release(&items);
}
END_TEST

START_TEST(without_a_link_the_question_is_refused)
{
	test_presence.sends = UPSTREAM_DOWN;
	assert_says(ann, "presence members room", DOWN);
	assert_says(ann, "presence count room", DOWN);
	assert_says(ann, "presence channels", DOWN);
	test_presence.sends = UPSTREAM_SENT;
	ck_assert(!test_send(ann, "presence count room"));
	ck_assert(!test_send(ben, "presence members room"));
	server_presence_lost(test_server);
	ck_assert_str_eq(test_finish(ann), DOWN);
	ck_assert_str_eq(test_finish(ben), DOWN);
	ck_assert(!test_send(ann, "presence count room"));
	test_presence_refuse(3);
	ck_assert_ptr_nonnull(strstr(test_finish(ann), "-CLUSTERDOWN The upstream has refused"));
}
END_TEST

START_TEST(a_question_waits_until_the_link_is_made)
{
	test_presence.sends = UPSTREAM_BUSY;
	ck_assert(!test_send(ann, "presence count room"));
	ck_assert_int_eq(client_waits_for(ann->client), WAIT_UPSTREAM);
	test_presence.sends = UPSTREAM_SENT;
	server_upstream_changed(test_server);
	test_turns(2);
	ck_assert_int_eq(client_waits_for(ann->client), WAIT_UPSTREAM_PRESENCE);
	test_presence_answer(1, 0, "- - 4");
	ck_assert_str_eq(test_finish(ann), "*2\r\n$4\r\nroom\r\n:4\r\n");
}
END_TEST

START_TEST(changes_are_told_before_a_question_that_comes_behind_them)
{
	(void)test_presence_told();
	test_call(ann, "presence join room ann");
	ck_assert(!test_send(ann, "presence count room"));
	ck_assert_uint_eq(test_presence.queries, 1);
	ck_assert_uint_eq(test_presence.told_before, 2);
	test_presence_answer(1, 0, "- - 1");
	ck_assert_str_eq(test_finish(ann), "*2\r\n$4\r\nroom\r\n:1\r\n");
}
END_TEST

START_TEST(a_question_waits_for_room_for_the_changes_before_it_only)
{
	(void)test_presence_told();
	test_presence.room = 1;
	test_call(ann, "presence join room ann");
	ck_assert(!test_send(ann, "presence count room"));
	ck_assert_int_eq(client_waits_for(ann->client), WAIT_UPSTREAM);
	ck_assert_uint_gt(test_presence.begins, 0);
	test_turns(3);
	test_call(ben, "presence join room ben");
	ck_assert_uint_eq(test_presence.queries, 0);
	test_presence.room = 1;
	test_turns(3);
	ck_assert_uint_eq(test_presence.queries, 1);
	ck_assert_uint_eq(test_presence.told_before, 2);
	test_presence_answer(1, 0, "- - 1");
	ck_assert_str_eq(test_finish(ann), "*2\r\n$4\r\nroom\r\n:1\r\n");
	ck_assert(!test_send(ann, "presence count room"));
	ck_assert_int_eq(client_waits_for(ann->client), WAIT_UPSTREAM);
	test_presence.sends = UPSTREAM_DOWN;
	server_upstream_changed(test_server);
	ck_assert_str_eq(test_finish(ann), DOWN);
}
END_TEST

START_TEST(a_question_goes_on_when_another_one_has_told_what_it_waits_for)
{
	(void)test_presence_told();
	test_presence.room = 0;
	test_call(ann, "presence join room ann");
	ck_assert(!test_send(ann, "presence count room"));
	ck_assert_int_eq(client_waits_for(ann->client), WAIT_UPSTREAM);
	test_turns(1);
	test_presence.room = 2;
	ck_assert(!test_send(ben, "presence count room"));
	ck_assert_uint_eq(test_presence.told_before, 2);
	test_turns(2);
	ck_assert_int_eq(client_waits_for(ann->client), WAIT_UPSTREAM_PRESENCE);
	test_presence_answer(1, 0, "- - 1");
	test_presence_answer(2, 0, "- - 1");
	ck_assert_str_eq(test_finish(ann), "*2\r\n$4\r\nroom\r\n:1\r\n");
	ck_assert_str_eq(test_finish(ben), "*2\r\n$4\r\nroom\r\n:1\r\n");
}
END_TEST

START_TEST(a_transaction_cannot_ask)
{
	static const char error[] = "ask the upstream for it outside of MULTI and scripts\r\n";

	test_call(ann, "multi");
	test_call(ann, "presence count room");
	test_call(ann, "presence channels");
	test_call(ann, "presence members room");
	ck_assert_ptr_nonnull(strstr(test_call(ann, "exec"), error));
	ck_assert_uint_eq(test_presence.queries, 0);
}
END_TEST

int
main(void)
{
	return testing_main("cmd/presence_nodes", setup, test_teardown,
	    (const TTest *[]){a_change_is_told_with_its_event,
		a_change_without_an_event_is_told_without, nothing_is_published_here,
		an_event_with_a_name_that_is_too_long_is_counted,
		changes_wait_for_room_and_are_those_of_then, all_members_are_registered_again,
		the_state_is_that_of_now, what_was_at_another_node_leaves,
		nothing_is_told_after_the_end, a_process_that_has_handed_over_ends,
		members_are_those_that_the_upstream_has, what_this_node_refuses_is_not_asked,
		answers_go_to_those_who_asked_and_still_wait, many_channels_are_counted_in_parts,
		channels_are_listed_page_by_page,
		a_channel_that_the_user_may_not_receive_is_not_listed,
		a_user_that_loses_its_rights_gets_no_answer, a_long_list_of_channels_is_whole,
		without_a_link_the_question_is_refused, a_question_waits_until_the_link_is_made,
		changes_are_told_before_a_question_that_comes_behind_them,
		a_question_waits_for_room_for_the_changes_before_it_only,
		a_question_goes_on_when_another_one_has_told_what_it_waits_for,
		a_transaction_cannot_ask, NULL});
}
