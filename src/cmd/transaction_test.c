#include "config.h"

#include <stdio.h>
#include <string.h>

#include <check.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash_map.h"
#include "base/testing.h"
#include "cmd/table.h"
#include "cmd/testing_server.h"
#include "kv/keyspace.h"
#include "pubsub/hub.h"
#include "pubsub/outbox.h"
#include "server/client.h"
#include "server/client_limits.h"
#include "server/job.h"
#include "server/transaction.h"

#define assert_says(conn, line, reply) ck_assert_str_eq(test_call(conn, line), reply)

#define QUEUED "+QUEUED\r\n"
#define ABORTED "-EXECABORT Transaction discarded because of previous errors.\r\n"

static struct test_conn *c, *other;

static void
setup(void)
{
	test_setup();
	c = test_open();
	other = test_open();
}

static void
publish(struct test_conn *conn, const char *channel, size_t len)
{
	char *payload = xmalloc(len);
	struct slice args[] = {SLICE("publish"), slice_of(channel), {payload, len}};

	memset(payload, 'x', len);
	ck_assert(test_send_args(conn, args, 3));
	xfree(payload);
}

/* A subscriber to `a` whose outbox has room for one message of 100 bytes and holds one. */
static struct test_conn *
full_subscriber(enum outbox_policy policy)
{
	struct test_conn *s = test_open();

	test_config.outbox.bytes = 200;
	test_config.outbox.policy = policy;
	client_apply_limits(s->client);
	test_call(s, "subscribe a");
	publish(other, "a", 100);
	test_read(other);
	return s;
}

START_TEST(commands_wait_for_exec_and_are_answered_in_order)
{
	assert_says(c, "multi", "+OK\r\n");
	assert_says(c, "set a 1", QUEUED);
	assert_says(c, "get a", QUEUED);
	assert_says(c, "del a b", QUEUED);
	assert_says(other, "get a", "$-1\r\n");
	assert_says(c, "exec", "*3\r\n+OK\r\n$1\r\n1\r\n:1\r\n");
	assert_says(c, "get a", "$-1\r\n");
	assert_says(c, "exec", "-ERR EXEC without MULTI\r\n");
}
END_TEST

START_TEST(arguments_are_copied)
{
	struct transaction *t = transaction_new(1);
	char text[] = "abc";
	struct slice argv[] = {{text, 3}, {text, 0}, {text + 1, 2}};
	const struct queued_command *q;

	ck_assert(transaction_add(t, &cmd_table()->rows[0], CMD_WRITE, argv, 3, 10, 1000));
	memset(text, 'x', 3);
	q = TAILQ_FIRST(&t->commands);
	ck_assert_uint_eq(q->argc, 3);
	ck_assert(slice_is(q->argv[0], "abc") && q->argv[1].len == 0 && slice_is(q->argv[2], "bc"));
	ck_assert_uint_eq(t->flags, CMD_WRITE);
	transaction_free(t);
}
END_TEST

START_TEST(a_transaction_is_bounded_in_commands_and_in_bytes)
{
	struct transaction *t = transaction_new(1);
	struct slice argv[] = {SLICE("x")};
	size_t bytes;

	ck_assert(transaction_add(t, &cmd_table()->rows[0], 0, argv, 1, 2, 1000));
	bytes = t->bytes;
	ck_assert(!transaction_add(t, &cmd_table()->rows[0], 0, argv, 1, 2, 2 * bytes - 1));
	ck_assert(transaction_add(t, &cmd_table()->rows[0], 0, argv, 1, 2, 2 * bytes));
	ck_assert(!transaction_add(t, &cmd_table()->rows[0], 0, argv, 1, 2, 1000));
	ck_assert_uint_eq(t->count, 2);
	transaction_spoil(t);
	ck_assert_uint_eq(t->count + t->bytes, 0);
	transaction_free(t);
}
END_TEST

START_TEST(what_does_not_fit_aborts_the_transaction)
{
	test_config.transaction_commands = 2;
	test_call(c, "multi");
	assert_says(c, "ping", QUEUED);
	assert_says(c, "ping", QUEUED);
	assert_says(c, "ping",
	    "-ERR transaction too large (max-transaction-commands 2, client-query-buffer-limit "
	    "1048576)\r\n");
	assert_says(c, "ping", QUEUED);
	assert_says(c, "exec", ABORTED);
}
END_TEST

START_TEST(a_refused_command_aborts_and_one_that_fails_does_not)
{
	test_call(c, "multi");
	test_call(c, "nosuch");
	assert_says(c, "set a 1", QUEUED);
	assert_says(c, "exec", ABORTED);
	test_call(c, "multi");
	assert_says(c, "set a 1 nosuch", QUEUED);
	assert_says(c, "set a 1", QUEUED);
	assert_says(c, "exec", "*2\r\n-ERR syntax error\r\n+OK\r\n");
}
END_TEST

START_TEST(exec_that_is_refused_discards)
{
	test_call(c, "multi");
	assert_says(c, "exec x",
	    "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "
	    "command\r\n");
	assert_says(c, "exec", "-ERR EXEC without MULTI\r\n");
}
END_TEST

START_TEST(a_changed_key_that_is_watched_aborts)
{
	test_call(c, "watch a b");
	test_call(other, "set b 1");
	test_call(c, "multi");
	test_call(c, "set a 1");
	assert_says(c, "exec", "*-1\r\n");
	assert_says(c, "get a", "$-1\r\n");
	test_call(c, "multi");
	assert_says(c, "exec", "*0\r\n");
	ck_assert_uint_eq(hash_map_count(test_server->watched), 0);
}
END_TEST

START_TEST(a_key_of_another_database_is_another_key)
{
	test_call(c, "watch a");
	test_call(other, "select 1");
	test_call(other, "set a 1");
	test_call(c, "multi");
	assert_says(c, "exec", "*0\r\n");
}
END_TEST

START_TEST(a_watched_key_that_is_due_aborts_and_one_that_was_does_not)
{
	struct kv_db *db = kv_database(test_server->kv, 0);

	test_call(c, "set a 1");
	test_call(c, "watch a");
	kv_set_expiry(db, kv_find(db, SLICE("a")), 1);
	test_call(c, "multi");
	assert_says(c, "exec", "*-1\r\n");
	test_call(c, "set a 1");
	kv_set_expiry(db, kv_find(db, SLICE("a")), 1);
	test_call(c, "watch a");
	test_turns(1);
	test_call(c, "multi");
	assert_says(c, "exec", "*0\r\n");
}
END_TEST

START_TEST(emptying_a_database_touches_the_keys_that_were_there)
{
	test_call(c, "watch a");
	test_call(other, "flushall");
	test_call(c, "multi");
	assert_says(c, "exec", "*0\r\n");
	test_call(c, "set a 1");
	test_call(c, "watch a");
	test_call(other, "flushall");
	test_call(c, "multi");
	assert_says(c, "exec", "*-1\r\n");
}
END_TEST

/* Creates `name` in database db; if `due`, its expiry has passed. */
static void
put_key(uint32_t db, const char *name, bool due)
{
	struct kv_db *in = kv_database(test_server->kv, db);
	struct kv_key *key = kv_put_string(in, NULL, slice_of(name), SLICE("1"));

	if (due)
		kv_set_expiry(in, key, 1);
}

enum place { NOWHERE, STALE, THERE };

/*
 * Watches a key in database 0 and swaps that with database 1: the key is here in database 0, and
 * in_1 in database 1.
 */
static const char *
exec_after_swap(enum place here, enum place in_1)
{
	test_call(other, "flushall");
	if (here != NOWHERE)
		put_key(0, "a", here == STALE);
	if (in_1 != NOWHERE)
		put_key(1, "a", in_1 == STALE);
	test_call(c, "watch a");
	test_call(other, "swapdb 0 1");
	test_turns(2); /* removes expired keys */
	test_call(c, "multi");
	return test_call(c, "exec");
}

START_TEST(databases_that_change_places_touch_keys_that_are_in_one_of_them)
{
	static const struct {
		enum place here, in_1;
		bool fails;
	} cases[] = {
	    {NOWHERE, NOWHERE, false},
	    {THERE, NOWHERE, true},
	    {NOWHERE, THERE, true},
	    {THERE, THERE, true},
	    {THERE, STALE, true},
	    {STALE, THERE, true},
	    {STALE, NOWHERE, false},
	    {NOWHERE, STALE, false},
	    {STALE, STALE, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (int active = 0; active < 2; active++) {
			test_server->expires_on_access_only = !active;
			ck_assert_msg((strcmp(exec_after_swap(cases[i].here, cases[i].in_1),
					   "*-1\r\n") == 0) == cases[i].fails,
			    "%zu, active: %d", i, active);
		}
}
END_TEST

START_TEST(a_database_that_changes_places_with_itself_touches_nothing)
{
	test_call(c, "set a 1");
	test_call(c, "watch a");
	assert_says(other, "swapdb 0 0", "+OK\r\n");
	test_call(c, "multi");
	assert_says(c, "exec", "*0\r\n");
}
END_TEST

START_TEST(a_key_that_went_by_itself_and_came_again_was_changed)
{
	test_call(c, "set a 1");
	test_call(c, "watch a");
	kv_set_expiry(kv_database(test_server->kv, 0),
	    kv_find(kv_database(test_server->kv, 0), SLICE("a")), 1);
	test_turns(1);
	assert_says(other, "exists a", ":0\r\n");
	assert_says(other, "set a 1", "+OK\r\n");
	test_call(c, "multi");
	assert_says(c, "exec", "*-1\r\n");
}
END_TEST

START_TEST(watched_keys_are_bounded_and_each_counts_once)
{
	test_config.watched_keys = 2;
	assert_says(c, "watch a a b a b", "+OK\r\n");
	ck_assert_uint_eq(client_watch_count(c->client), 2);
	assert_says(c, "watch c",
	    "-ERR max number of watched keys per client reached (max-watched-keys-per-client "
	    "2)\r\n");
	assert_says(c, "unwatch", "+OK\r\n");
	assert_says(c, "watch c", "+OK\r\n");
}
END_TEST

START_TEST(who_leaves_watches_nothing)
{
	struct test_conn *gone = test_open();

	test_call(gone, "watch a b");
	test_call(c, "watch a");
	test_call(gone, "multi");
	test_call(gone, "ping");
	test_close(gone);
	ck_assert_uint_eq(hash_map_count(test_server->watched), 1);
	assert_says(c, "reset", "+RESET\r\n");
	ck_assert_uint_eq(hash_map_count(test_server->watched), 0);
}
END_TEST

START_TEST(a_full_subscriber_makes_the_whole_transaction_wait)
{
	struct test_conn *s = full_subscriber(OUTBOX_BLOCK);

	test_call(c, "multi");
	test_call(c, "set k 1");
	publish(c, "a", 100);
	test_read(c);
	ck_assert(!test_send(c, "exec"));
	assert_says(other, "get k", "$-1\r\n");
	test_read(s);
	ck_assert_str_eq(test_finish(c), "*2\r\n+OK\r\n:1\r\n");
	assert_says(other, "get k", "$1\r\n1\r\n");
}
END_TEST

START_TEST(messages_of_one_transaction_are_not_parted_by_a_full_subscriber)
{
	struct test_conn *s = full_subscriber(OUTBOX_BLOCK);

	test_read(s);
	test_call(c, "multi");
	for (int i = 0; i < 5; i++)
		publish(c, "a", 100);
	test_read(c);
	assert_says(c, "exec", "*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n");
	ck_assert_uint_eq(s->client->subscriber.outbox.messages, 5);
	ck_assert_ptr_null(s->killed);
}
END_TEST

START_TEST(a_transaction_waits_for_memory_for_all_of_its_messages)
{
	struct test_conn *s = full_subscriber(OUTBOX_DROP_OLDEST);

	test_config.hub.memory_bytes = hub_memory(test_server->hub) + 250;
	test_call(c, "multi");
	for (int i = 0; i < 2; i++)
		publish(c, "a", 100);
	test_read(c);
	ck_assert(!test_send(c, "exec"));
	test_read(s);
	ck_assert_str_eq(test_finish(c), "*2\r\n:1\r\n:1\r\n");
}
END_TEST

START_TEST(messages_that_can_never_have_room_together_abort)
{
	full_subscriber(OUTBOX_DROP_OLDEST);
	test_config.hub.memory_bytes = hub_memory(test_server->hub) + 250;
	test_call(c, "multi");
	test_call(c, "set k 1");
	for (int i = 0; i < 3; i++)
		publish(c, "a", test_config.hub.memory_bytes / 2 - 100);
	test_read(c);
	assert_says(c, "exec",
	    "-EXECABORT Transaction discarded because of: OOM its messages exceed "
	    "'maxmemory-pubsub'.\r\n");
	assert_says(c, "get k", "$-1\r\n");
	assert_says(c, "exec", "-ERR EXEC without MULTI\r\n");
}
END_TEST

START_TEST(own_messages_come_behind_the_replies)
{
	test_call(c, "hello 3");
	test_call(c, "multi");
	test_call(c, "subscribe a");
	test_call(c, "publish a m");
	test_call(c, "ping");
	assert_says(c, "exec",
	    "*3\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n:1\r\n+PONG\r\n"
	    ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n");
}
END_TEST

START_TEST(rules_that_changed_since_are_heeded_in_each_commands_place)
{
	test_call(c, "acl setuser u on nopass +@all ~* &*");
	test_call(other, "auth u x");
	test_call(other, "multi");
	test_call(other, "set a 1");
	test_call(other, "get a");
	test_call(c, "acl setuser u -set");
	assert_says(other, "exec",
	    "*2\r\n-NOPERM ACLs rules changed between the moment the transaction was accumulated "
	    "and the EXEC call. This command is no longer allowed for the following reason: no "
	    "permission to execute the command or subcommand\r\n$-1\r\n");
	ck_assert_ptr_nonnull(strstr(test_call(c, "acl log"), "$5\r\nmulti\r\n"));
}
END_TEST

START_TEST(guesses_of_passwords_in_a_transaction_are_not_looked_at)
{
	const char *replies;

	test_config.auth_delay_max_ms = 1000;
	test_call(c, "acl setuser u on >right");
	test_call(c, "multi");
	for (int i = 0; i < 20; i++)
		test_call(c, "auth u wrong");
	test_call(c, "auth u right");
	replies = test_call(c, "exec");
	ck_assert_ptr_null(strstr(replies, "+OK"));
	ck_assert_ptr_nonnull(strstr(replies, "-ERR too many wrong passwords"));
}
END_TEST

START_TEST(a_job_is_done_within_the_transaction)
{
	for (int i = 0; i < 3; i++)
		test_call(other, "subscribe x y z");
	test_call(c, "multi");
	test_call(c, "client list");
	test_call(c, "command info get set");
	test_call(c, "pubsub channels");
	test_call(c, "ping");
	ck_assert_ptr_nonnull(strstr(test_call(c, "exec"), "+PONG\r\n"));
	ck_assert_uint_eq(test_server->jobs->count, 0);
}
END_TEST

START_TEST(lists_of_clients_show_transactions_and_what_is_watched)
{
	const char *line;

	test_call(other, "watch k l");
	test_call(other, "multi");
	test_call(other, "ping");
	test_call(c, "set k 1");
	line = strstr(test_call(c, "client list"), "id=2 ");
	ck_assert_ptr_nonnull(strstr(line, "flags=xd"));
	ck_assert_ptr_nonnull(strstr(line, " multi=1 "));
	ck_assert_ptr_null(strstr(line, " multi-mem=0 "));
	ck_assert_ptr_nonnull(strstr(test_call(c, "outbox list id 2"), " watch=2 "));
}
END_TEST

int
main(void)
{
	return testing_main("cmd/transaction", setup, test_teardown,
	    (const TTest *[]){commands_wait_for_exec_and_are_answered_in_order,
		arguments_are_copied, a_transaction_is_bounded_in_commands_and_in_bytes,
		what_does_not_fit_aborts_the_transaction,
		a_refused_command_aborts_and_one_that_fails_does_not, exec_that_is_refused_discards,
		a_changed_key_that_is_watched_aborts, a_key_of_another_database_is_another_key,
		a_watched_key_that_is_due_aborts_and_one_that_was_does_not,
		emptying_a_database_touches_the_keys_that_were_there,
		databases_that_change_places_touch_keys_that_are_in_one_of_them,
		a_database_that_changes_places_with_itself_touches_nothing,
		a_key_that_went_by_itself_and_came_again_was_changed,
		watched_keys_are_bounded_and_each_counts_once, who_leaves_watches_nothing,
		a_full_subscriber_makes_the_whole_transaction_wait,
		messages_of_one_transaction_are_not_parted_by_a_full_subscriber,
		a_transaction_waits_for_memory_for_all_of_its_messages,
		messages_that_can_never_have_room_together_abort,
		own_messages_come_behind_the_replies,
		rules_that_changed_since_are_heeded_in_each_commands_place,
		guesses_of_passwords_in_a_transaction_are_not_looked_at,
		a_job_is_done_within_the_transaction,
		lists_of_clients_show_transactions_and_what_is_watched, NULL});
}
