#include "config.h"

#include <check.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/held.h"
#include "server/journal.h"
#include "server/wait.h"

/* The parts of a client that exist only while they are needed. */

static struct test_conn *c;

static void
setup(void)
{
	test_setup();
	c = test_open();
}

static void
assert_has_no_parts(void)
{
	ck_assert_ptr_null(c->client->pending);
	ck_assert_ptr_null(c->client->session);
	ck_assert_ptr_null(c->client->held);
}

START_TEST(an_idle_subscribed_client_has_none)
{
	assert_has_no_parts();
	test_call(c, "subscribe a b");
	test_call(c, "psubscribe a*");
	assert_has_no_parts();
	test_call(test_open(), "publish a x");
	test_read(c);
	assert_has_no_parts();
}
END_TEST

START_TEST(requests_that_do_not_wait_use_the_same_one_in_turn)
{
	struct test_conn *other = test_open();
	struct pending *spare;

	test_call(c, "ping");
	spare = test_server->waits->spare;
	ck_assert_ptr_nonnull(spare);
	test_call(other, "publish a x");
	test_call(c, "set k v");
	ck_assert_ptr_eq(test_server->waits->spare, spare);
	assert_has_no_parts();
}
END_TEST

START_TEST(a_request_that_waits_keeps_its_own_until_it_is_done)
{
	ck_assert(!test_send(c, "blpop k 0"));
	ck_assert_ptr_nonnull(c->client->pending);
	test_call(test_open(), "rpush k v");
	ck_assert_str_eq(test_finish(c), "*2\r\n$1\r\nk\r\n$1\r\nv\r\n");
	assert_has_no_parts();
}
END_TEST

START_TEST(a_client_that_is_killed_while_it_waits_keeps_none)
{
	ck_assert(!test_send(c, "blpop k 0"));
	client_kill(c->client, "test");
	assert_has_no_parts();
}
END_TEST

START_TEST(what_commands_have_set_up_goes_when_they_take_it_away)
{
	static const char *const pairs[][2] = {{"client setname n", "client setname \"\""},
	    {"client setinfo lib-name n", "client setinfo lib-name \"\""}, {"multi", "discard"},
	    {"watch k", "unwatch"}, {"outbox set bytes 1000", "outbox set bytes 0"},
	    {"outbox set policy block", "reset"}, {"client setname n", "reset"},
	    {"monitor", "reset"}};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		test_call(c, pairs[i][0]);
		ck_assert_ptr_nonnull(c->client->session);
		test_call(c, pairs[i][1]);
		assert_has_no_parts();
	}
}
END_TEST

START_TEST(what_is_refused_sets_up_nothing)
{
	test_call(c, "client setinfo lib-name a\tb");
	test_call(c, "client setinfo lib-x v");
	test_call(c, "outbox set policy none");
	test_call(c, "outbox set going-away yes");
	assert_has_no_parts();
}
END_TEST

START_TEST(a_change_without_a_reply_is_remembered_until_it_is_on_disk)
{
	struct buffer batch = {0};
	uint64_t number;

	server_journal_set(test_server, true, true);
	ck_assert(test_send(c, "client reply off"));
	ck_assert(test_send(c, "set k v"));
	ck_assert(server_journal_take(test_server, &batch, &number));
	test_turn(clock_mono_us() + 2000000);
	ck_assert_ptr_nonnull(c->client->held);
	server_journal_kept(test_server, number);
	test_turn(clock_mono_us() + 4000000);
	assert_has_no_parts();
	buffer_release(&batch);
}
END_TEST

/* Else the next client's request would be taken for the one that was answered already. */
START_TEST(the_end_of_a_blocked_request_does_not_count_for_another_client)
{
	struct test_conn *other = test_open(), *waiting = test_open();

	ck_assert(!test_send(c, "blpop k 0"));
	test_call(other, "rpush k v");
	ck_assert(!test_send(waiting, "blpop z 0")); /* it has taken the spare */
	test_finish(c);
	ck_assert_ptr_nonnull(test_server->waits->spare);
	ck_assert_str_eq(test_call(other, "ping"), "+PONG\r\n");
}
END_TEST

int
main(void)
{
	return testing_main("cmd/client_parts", setup, test_teardown,
	    (const TTest *[]){an_idle_subscribed_client_has_none,
		requests_that_do_not_wait_use_the_same_one_in_turn,
		a_request_that_waits_keeps_its_own_until_it_is_done,
		a_client_that_is_killed_while_it_waits_keeps_none,
		what_commands_have_set_up_goes_when_they_take_it_away,
		what_is_refused_sets_up_nothing,
		a_change_without_a_reply_is_remembered_until_it_is_on_disk,
		the_end_of_a_blocked_request_does_not_count_for_another_client, NULL});
}
