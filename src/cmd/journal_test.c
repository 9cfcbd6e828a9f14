#include "config.h"

#include "server/journal.h"

#include <string.h>

#include <check.h>

#include "base/buffer.h"
#include "base/testing.h"
#include "cmd/testing_commands.h"
#include "cmd/testing_server.h"
#include "server/client.h"
#include "server/held.h"
#include "server/server.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

static struct test_conn *c, *other;
static struct buffer text; /* collected commands: "SELECT 0;SET a 1;" */

static void
setup(void)
{
	test_setup();
	c = test_open();
	other = test_open();
	text = (struct buffer){0};
}

static void
teardown(void)
{
	buffer_release(&text);
	test_teardown();
}

START_TEST(what_changes_keys_is_collected_and_nothing_else)
{
	server_journal_set(test_server, true, false);
	assert_says(c, "SET a 1", "+OK\r\n");
	assert_says(c, "GET a", "$1\r\n1\r\n");
	assert_says(c, "DEL none", ":0\r\n");
	assert_says(c, "PUBLISH news x", ":0\r\n");
	assert_says(c, "DEL a", ":1\r\n");
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;SET a 1;DEL a;");
	ck_assert_uint_eq(server_journal_taken(test_server), 1);
	ck_assert_str_eq(testing_collected(&text), "");
	ck_assert_uint_eq(server_changes(test_server), 2);
}
END_TEST

START_TEST(the_database_is_selected_when_it_changes)
{
	server_journal_set(test_server, true, false);
	assert_says(c, "SET a 1", "+OK\r\n");
	assert_says(other, "SELECT 3", "+OK\r\n");
	assert_says(other, "SET b 1", "+OK\r\n");
	assert_says(other, "SET c 1", "+OK\r\n");
	assert_says(c, "DEL a", ":1\r\n");
	ck_assert_str_eq(
	    testing_collected(&text), "SELECT 0;SET a 1;SELECT 3;SET b 1;SET c 1;SELECT 0;DEL a;");
	assert_says(c, "SET a 1", "+OK\r\n");
	ck_assert_str_eq(testing_collected(&text), "SET a 1;");
	server_journal_forget_database(test_server);
	assert_says(c, "SET a 1", "+OK\r\n");
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;SET a 1;");
}
END_TEST

START_TEST(a_transaction_is_collected_as_one)
{
	server_journal_set(test_server, true, false);
	assert_says(c, "MULTI", "+OK\r\n");
	assert_says(c, "SET a 1", "+QUEUED\r\n");
	assert_says(c, "GET a", "+QUEUED\r\n");
	assert_says(c, "SET b 2", "+QUEUED\r\n");
	ck_assert_str_eq(testing_collected(&text), "");
	assert_says(c, "EXEC", "*3\r\n+OK\r\n$1\r\n1\r\n+OK\r\n");
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;MULTI;SET a 1;SET b 2;EXEC;");
}
END_TEST

START_TEST(replies_of_changes_are_held_until_they_are_kept_and_what_follows_too)
{
	struct buffer batch = {0};
	uint64_t number;

	server_journal_set(test_server, true, true);
	assert_says(c, "GET a", "$-1\r\n");
	assert_says(c, "SET a 1", "");
	assert_says(c, "GET a", "");
	assert_says(other, "GET a", "$1\r\n1\r\n");
	ck_assert(server_journal_take(test_server, &batch, &number));
	assert_says(c, "SET b 1", "");
	server_journal_kept(test_server, number);
	ck_assert_str_eq(test_read(c), "+OK\r\n$1\r\n1\r\n");
	buffer_release(&batch);
	ck_assert(server_journal_take(test_server, &batch, &number));
	server_journal_kept(test_server, number);
	ck_assert_str_eq(test_read(c), "+OK\r\n");
	buffer_release(&batch);
	assert_says(c, "GET a", "$1\r\n1\r\n");
}
END_TEST

START_TEST(messages_pass_what_is_held_and_subscribing_waits_for_it)
{
	server_journal_set(test_server, true, true);
	test_call(c, "HELLO 3");
	test_call(c, "SUBSCRIBE news");
	assert_says(c, "SET a 1", "");
	assert_says(other, "PUBLISH news x", ":1\r\n");
	ck_assert_str_eq(test_read(c), ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n");
	ck_assert(!test_send(c, "SUBSCRIBE more"));
	test_turns(3);
	ck_assert_str_eq(test_read(c), "");
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;SET a 1;");
	server_journal_kept(test_server, 1);
	ck_assert_str_eq(test_finish(c), "+OK\r\n>3\r\n$9\r\nsubscribe\r\n$4\r\nmore\r\n:2\r\n");
}
END_TEST

/* c changes a key without a reply and then subscribes, which waits. */
static void
subscribe_behind_a_muted_change(void)
{
	server_journal_set(test_server, true, true);
	test_call(c, "HELLO 3");
	assert_says(c, "CLIENT REPLY SKIP", "");
	assert_says(c, "SET a 1", "");
	ck_assert(held_is_empty(c->client));
	ck_assert(!test_send(c, "SUBSCRIBE news"));
	test_turns(3);
	ck_assert(c->later);
	ck_assert_uint_eq(client_subscriptions(c->client), 0);
}

#define SUBSCRIBED ">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"

START_TEST(subscribing_waits_for_a_change_without_a_reply_until_it_is_kept)
{
	subscribe_behind_a_muted_change();
	assert_says(other, "PUBLISH news x", ":0\r\n");
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;SET a 1;");
	ck_assert(c->later);
	server_journal_kept(test_server, 1);
	ck_assert_str_eq(test_finish(c), SUBSCRIBED);
}
END_TEST

START_TEST(subscribing_waits_for_a_change_without_a_reply_only_while_the_journal_holds)
{
	subscribe_behind_a_muted_change();
	server_journal_set(test_server, true, false);
	ck_assert_str_eq(test_finish(c), SUBSCRIBED);
}
END_TEST

START_TEST(subscribing_waits_for_a_change_without_a_reply_until_the_journal_fails)
{
	subscribe_behind_a_muted_change();
	server_journal_failed(test_server, "MISCONF no");
	ck_assert_str_eq(test_finish(c), SUBSCRIBED);
}
END_TEST

START_TEST(a_refusal_alone_leaves_held_replies_as_they_are)
{
	server_journal_set(test_server, true, true);
	assert_says(c, "SET a 1", "");
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;SET a 1;");
	server_refuse_writes(test_server, "MISCONF no snapshot");
	assert_says(c, "SET a 2", "");
	ck_assert_str_eq(test_read(c), "");
	server_journal_kept(test_server, 1);
	ck_assert_str_eq(test_read(c), "+OK\r\n-MISCONF no snapshot\r\n");
	server_refuse_writes(test_server, NULL);
	assert_says(c, "SET a 3", "");
}
END_TEST

START_TEST(a_journal_that_is_switched_off_in_a_transaction_takes_nothing_of_it)
{
	server_journal_set(test_server, true, true);
	assert_says(c, "MULTI", "+OK\r\n");
	assert_says(c, "SET a 1", "+QUEUED\r\n");
	assert_says(c, "CONFIG SET journal off", "+QUEUED\r\n");
	assert_says(c, "SET a 2", "+QUEUED\r\n");
	assert_says(c, "EXEC", "*3\r\n+OK\r\n+OK\r\n+OK\r\n");
	ck_assert_str_eq(testing_collected(&text), "");
}
END_TEST

START_TEST(messages_of_what_exec_subscribed_to_come_behind_its_reply)
{
	server_journal_set(test_server, true, true);
	test_call(c, "MULTI");
	test_call(c, "SET a 1");
	test_call(c, "SUBSCRIBE news");
	assert_says(c, "EXEC", "");
	assert_says(other, "PUBLISH news x", ":1\r\n");
	assert_says(c, "PING", "");
	ck_assert_str_eq(test_read(c), "");
	ck_assert(outbox_is_empty(server_outbox(c->client)));
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;SET a 1;");
	server_journal_kept(test_server, 1);
	ck_assert_str_eq(test_read(c), "*2\r\n+OK\r\n*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"
				       "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n"
				       "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
	assert_says(other, "PUBLISH news y", ":1\r\n");
	ck_assert_str_eq(test_read(c), "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\ny\r\n");
}
END_TEST

START_TEST(what_exec_publishes_to_its_own_client_comes_behind_its_reply)
{
	server_journal_set(test_server, true, true);
	test_call(c, "HELLO 3");
	test_call(c, "SUBSCRIBE news");
	assert_says(other, "PUBLISH news before", ":1\r\n");
	test_call(c, "MULTI");
	test_call(c, "SET a 1");
	test_call(c, "PUBLISH news own");
	assert_says(c, "EXEC", "");
	assert_says(other, "PUBLISH news after", ":1\r\n");
	server_journal_failed(test_server, "MISCONF no");
	ck_assert_str_eq(test_read(c),
	    "-MISCONF no\r\n>3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\nown\r\n"
	    ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nafter\r\n");
}
END_TEST

START_TEST(what_exec_publishes_to_a_subscription_that_it_ends_comes_behind_its_reply)
{
	server_journal_set(test_server, true, true);
	test_call(c, "HELLO 3");
	test_call(c, "MULTI");
	test_call(c, "SET a 1");
	test_call(c, "SUBSCRIBE a");
	test_call(c, "PUBLISH a m");
	test_call(c, "UNSUBSCRIBE a");
	assert_says(c, "EXEC", "");
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;SET a 1;");
	server_journal_kept(test_server, 1);
	ck_assert_str_eq(test_read(c),
	    "*4\r\n+OK\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n:1\r\n"
	    ">3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n"
	    ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n");
}
END_TEST

START_TEST(messages_in_the_protocol_that_exec_chose_come_behind_its_reply)
{
	const char *reply;

	server_journal_set(test_server, true, true);
	test_call(c, "HELLO 3");
	test_call(c, "SUBSCRIBE news");
	test_call(c, "MULTI");
	test_call(c, "SET a 1");
	test_call(c, "HELLO 2");
	assert_says(c, "EXEC", "");
	assert_says(other, "PUBLISH news x", ":1\r\n");
	ck_assert_str_eq(test_read(c), "");
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;SET a 1;");
	server_journal_kept(test_server, 1);
	reply = test_read(c);
	ck_assert_int_eq(strncmp(reply, "*2\r\n+OK\r\n", 9), 0);
	ck_assert_ptr_nonnull(strstr(reply, "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n"));
}
END_TEST

/* c's EXEC sets a key and subscribes; its reply is held, and a message is queued behind it. */
static void
subscribe_in_exec(void)
{
	server_journal_set(test_server, true, true);
	test_call(c, "MULTI");
	test_call(c, "SET a 1");
	test_call(c, "SUBSCRIBE news");
	assert_says(c, "EXEC", "");
	assert_says(other, "PUBLISH news x", ":1\r\n");
}

START_TEST(exec_that_subscribed_and_is_not_kept_ends_the_connection_after_its_error)
{
	subscribe_in_exec();
	assert_says(c, "PING", "");
	server_journal_failed(test_server, "MISCONF no");
	ck_assert_str_eq(test_read(c), "-MISCONF no\r\n");
	ck_assert(c->finished);
	ck_assert(outbox_is_empty(server_outbox(c->client)) && held_is_empty(c->client));
}
END_TEST

START_TEST(exec_that_subscribed_is_answered_and_stays_where_it_is_kept)
{
	subscribe_in_exec();
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;SET a 1;");
	server_journal_kept(test_server, 1);
	server_journal_failed(test_server, "MISCONF no");
	ck_assert_str_eq(test_read(c), "*2\r\n+OK\r\n*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"
				       "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n");
	ck_assert(!c->finished);
}
END_TEST

START_TEST(exec_that_subscribes_after_the_journal_failed_ends_the_connection_after_its_error)
{
	server_journal_set(test_server, true, true);
	test_call(c, "MULTI");
	test_call(c, "SET a 1");
	test_call(c, "SUBSCRIBE news");
	test_call(c, "PUBLISH news own");
	server_journal_failed(test_server, "MISCONF no");
	assert_says(c, "EXEC", "-MISCONF no\r\n");
	ck_assert(c->finished);
}
END_TEST

START_TEST(who_leaves_behind_a_barrier_is_forgotten)
{
	server_journal_set(test_server, true, true);
	test_call(c, "MULTI");
	test_call(c, "SET a 1");
	test_call(c, "SUBSCRIBE news");
	assert_says(c, "EXEC", "");
	assert_says(other, "PUBLISH news x", ":1\r\n");
	test_close(c);
	server_journal_kept(test_server, 1);
	assert_says(other, "PUBLISH news x", ":0\r\n");
}
END_TEST

START_TEST(changes_that_could_not_be_kept_become_errors_and_others_do_not)
{
	server_journal_set(test_server, true, true);
	assert_says(c, "SET a 1", "");
	assert_says(c, "GET a", "");
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;SET a 1;");
	server_journal_failed(test_server, "MISCONF no room");
	server_refuse_writes(test_server, "MISCONF no room");
	ck_assert_str_eq(test_read(c), "-MISCONF no room\r\n$1\r\n1\r\n");
	assert_says(c, "SET a 2", "-MISCONF no room\r\n");
	assert_says(c, "GET a", "$1\r\n1\r\n");
	assert_says(c, "PUBLISH news x", ":0\r\n");
	assert_says(c, "MULTI", "+OK\r\n");
	assert_says(c, "SET a 2", "-MISCONF no room\r\n");
	test_call(c, "DISCARD");
	server_journal_kept(test_server, 1);
	server_journal_failed(test_server, NULL);
	server_refuse_writes(test_server, NULL);
	assert_says(c, "SET a 2", "");
	ck_assert_str_eq(testing_collected(&text), "SET a 2;");
	server_journal_kept(test_server, 2);
	ck_assert_str_eq(test_read(c), "+OK\r\n");
}
END_TEST

START_TEST(who_leaves_while_something_is_held_is_forgotten)
{
	server_journal_set(test_server, true, true);
	assert_says(c, "SET a 1", "");
	test_close(c);
	test_turns(3);
	ck_assert_str_eq(testing_collected(&text), "SELECT 0;SET a 1;");
	server_journal_kept(test_server, 1);
}
END_TEST

START_TEST(writers_wait_while_too_much_is_to_be_written)
{
	server_journal_set(test_server, true, false);
	server_journal_crowded(test_server, true);
	ck_assert(!test_send(c, "SET a 1"));
	assert_says(other, "GET a", "$-1\r\n");
	server_journal_crowded(test_server, false);
	ck_assert_str_eq(test_finish(c), "+OK\r\n");
}
END_TEST

int
main(void)
{
	return testing_main("cmd/journal", setup, teardown,
	    (const TTest *[]){what_changes_keys_is_collected_and_nothing_else,
		the_database_is_selected_when_it_changes, a_transaction_is_collected_as_one,
		replies_of_changes_are_held_until_they_are_kept_and_what_follows_too,
		messages_pass_what_is_held_and_subscribing_waits_for_it,
		subscribing_waits_for_a_change_without_a_reply_until_it_is_kept,
		subscribing_waits_for_a_change_without_a_reply_only_while_the_journal_holds,
		subscribing_waits_for_a_change_without_a_reply_until_the_journal_fails,
		a_refusal_alone_leaves_held_replies_as_they_are,
		a_journal_that_is_switched_off_in_a_transaction_takes_nothing_of_it,
		messages_of_what_exec_subscribed_to_come_behind_its_reply,
		what_exec_publishes_to_its_own_client_comes_behind_its_reply,
		what_exec_publishes_to_a_subscription_that_it_ends_comes_behind_its_reply,
		messages_in_the_protocol_that_exec_chose_come_behind_its_reply,
		exec_that_subscribed_and_is_not_kept_ends_the_connection_after_its_error,
		exec_that_subscribed_is_answered_and_stays_where_it_is_kept,
		exec_that_subscribes_after_the_journal_failed_ends_the_connection_after_its_error,
		who_leaves_behind_a_barrier_is_forgotten,
		changes_that_could_not_be_kept_become_errors_and_others_do_not,
		who_leaves_while_something_is_held_is_forgotten,
		writers_wait_while_too_much_is_to_be_written, NULL});
}
