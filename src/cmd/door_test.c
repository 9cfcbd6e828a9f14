#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "acl/check.h"
#include "acl/user.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "pubsub/hub.h"
#include "pubsub/outbox.h"
#include "pubsub/queue_group.h"
#include "server/access.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/client_limits.h"
#include "server/clients.h"
#include "server/command.h"
#include "server/door.h"
#include "server/request.h"
#include "server/server_config.h"
#include "server/slowlog.h"
#include "server/statistics.h"
#include "server/wait.h"

/* A door whose requests are answered with their arguments, and whose farewell is "bye<end>". */
static struct door door;
static int freed;
static bool may_hear, may_speak;
static struct test_conn *c, *d;

static void
ending(struct client *client, enum door_end why, struct buffer *farewell)
{
	ck_assert_ptr_eq(client_door(client), &door);
	buffer_appendf(farewell, "bye%d", (int)why);
}

static void
on_freed(struct client *client)
{
	ck_assert_ptr_eq(client_door(client), &door);
	freed++;
}

static bool
may_receive(const struct client *client, struct slice name, bool is_pattern)
{
	ck_assert_ptr_eq(client_door(client), &door);
	ck_assert(slice_is(name, "news") && !is_pattern);
	return may_hear;
}

static bool
has_farewell(const struct client *client)
{
	ck_assert_ptr_eq(client_door(client), &door);
	return may_speak;
}

static enum command_result
echo(struct request *rq)
{
	struct pending *p = rq->client->pending;

	while (p->progress < rq->argc) {
		buffer_append_str(rq->reply, "<");
		buffer_append_slice(rq->reply, rq->argv[p->progress++]);
		buffer_append_str(rq->reply, ">");
		if (rq->argc > 2)
			return COMMAND_AGAIN;
	}
	return COMMAND_DONE;
}

static const struct command plain = {.name = "plain", .handler = echo};
static const struct command publishing = {
    .name = "publishing", .handler = echo, .flags = CMD_PUBSUB | CMD_MAY_REPLICATE};

static void
setup(void)
{
	static const struct outbox_limits limits = {.messages = 100, .policy = OUTBOX_DISCONNECT};
	static const struct door_ops ops = {
	    .ending = ending,
	    .has_farewell = has_farewell,
	    .may_receive = may_receive,
	    .freed = on_freed,
	};

	test_setup();
	test_config.edge_user = "edge";
	test_config.has_edge_port = true;
	server_reconfigured(test_server);
	may_hear = true;
	may_speak = true;
	door.ops = &ops;
	door.limits = &limits;
	freed = 0;
	c = test_open();
	d = test_open_door(NULL, &door);
	d->row = &plain;
}

START_TEST(a_request_of_a_door_is_executed_by_its_handler)
{
	uint64_t commands = test_server->statistics->counters.commands;

	ck_assert_str_eq(test_call(d, "GET /"), "<GET></>");
	ck_assert_uint_eq(test_server->statistics->counters.commands, commands + 1);
	ck_assert_ptr_null(client_last_command(d->client));
	ck_assert_int_eq(d->client->proto, 3);
	ck_assert(d->unauthenticated);
	ck_assert_ptr_null(d->client->pending);
}
END_TEST

START_TEST(a_request_of_a_door_may_go_on_in_later_turns)
{
	ck_assert(!test_send(d, "a b c"));
	ck_assert_str_eq(test_finish(d), "<a><b><c>");
	ck_assert_str_eq(test_call(d, "d"), "<d>");
}
END_TEST

START_TEST(a_request_of_a_door_that_publishes_waits_for_the_end_of_a_pause)
{
	ck_assert_str_eq(test_call(c, "CLIENT PAUSE 100000 WRITE"), "+OK\r\n");
	ck_assert_str_eq(test_call(d, "a"), "<a>");
	d->row = &publishing;
	ck_assert(!test_send(d, "b"));
	ck_assert_int_eq(client_waits_for(d->client), WAIT_PAUSE);
	ck_assert_str_eq(test_call(c, "CLIENT UNPAUSE"), "+OK\r\n");
	ck_assert_str_eq(test_finish(d), "<b>");
}
END_TEST

START_TEST(a_request_of_a_door_may_be_exempt_from_pauses)
{
	static const struct command health = {
	    .name = "health", .handler = echo, .flags = CMD_READONLY | CMD_ALLOW_BUSY};

	ck_assert_str_eq(test_call(c, "CLIENT PAUSE 100000"), "+OK\r\n");
	ck_assert(!test_send(d, "a"));
	test_close(d);
	d = test_open_door(NULL, &door);
	d->row = &health;
	ck_assert_str_eq(test_call(d, "b"), "<b>");
}
END_TEST

START_TEST(no_monitor_and_no_slow_log_shows_its_arguments)
{
	struct test_conn *monitor = test_open();
	const char *log;

	test_config.slowlog_slower_than_us = 0;
	(void)test_call(monitor, "MONITOR");
	(void)test_call(d, "secret token");
	ck_assert_str_eq(test_read(monitor), "");
	log = test_call(c, "SLOWLOG GET 1");
	ck_assert_ptr_nonnull(strstr(log, "*1\r\n$5\r\nplain\r\n"));
	ck_assert_ptr_null(strstr(log, "secret"));
}
END_TEST

START_TEST(a_door_is_freed_with_its_client)
{
	(void)test_call(d, "a");
	test_close(d);
	ck_assert_int_eq(freed, 1);
}
END_TEST

START_TEST(a_door_says_that_its_client_is_refused)
{
	struct test_conn *refused;

	test_config.maxclients = 2;
	refused = test_open_door(NULL, &door);
	ck_assert_str_eq(test_read(refused), "bye6");
	ck_assert(refused->finished);
	test_config.maxclients = 100;
	test_config.protected_mode = true;
	refused = test_open_door(
	    &(struct server_peer){.address = "192.0.2.1:1", .local_address = "192.0.2.2:1"}, &door);
	ck_assert_str_eq(test_read(refused), "bye7");
	ck_assert(!test_open_door(NULL, &door)->finished);
}
END_TEST

START_TEST(a_protocol_error_writes_no_resp_to_a_door)
{
	server_broken(d->client, "bad request");
	ck_assert_str_eq(test_read(d), "");
	ck_assert(!client_is_open(d->client));
}
END_TEST

/* Subscribes d, and queues one message that was begun and `count` others. */
static void
queue_messages(int count)
{
	ck_assert_int_eq(hub_subscribe(&d->client->subscriber, HUB_CHANNEL, SLICE("news")), HUB_OK);
	for (int i = 0; i <= count; i++) {
		(void)test_call(c, "PUBLISH news x");
		if (i == 0)
			outbox_consume(server_outbox(d->client), 10);
	}
}

/* How a dismissed client ends, and by what. */
static void
by_overflow(void)
{
	for (int i = 0; i <= 100; i++)
		(void)test_call(c, "PUBLISH news x");
}

static void
by_reply_limit(void)
{
	test_config.buffer_limit[SERVER_CLASS_PUBSUB].hard_bytes = 10;
	client_check_limits(d->client, clock_mono_us());
}

static void
by_kill(void)
{
	char line[64];

	snprintf(line, sizeof(line), "CLIENT KILL ID %d", (int)d->client->id);
	ck_assert_str_eq(test_call(c, line), ":1\r\n");
}

static void
by_rules(void)
{
	ck_assert_str_eq(test_call(c, "ACL SETUSER edge &news"), "+OK\r\n");
	ck_assert(client_is_open(d->client));
	may_hear = false;
	ck_assert_str_eq(test_call(c, "ACL SETUSER edge resetchannels"), "+OK\r\n");
}

static void
by_deletion(void)
{
	ck_assert_str_eq(test_call(c, "ACL DELUSER edge"), ":1\r\n");
}

static void
by_own(void)
{
	client_dismiss(d->client, DOOR_END_OWN, "no pong");
}

static void
by_lame_duck(void)
{
	test_server->clients->parting++; /* as lame_duck.c does */
	ck_assert(client_part(d->client));
}

static void
by_drain(void)
{
	server_say_farewell(test_server);
}

/* RESP3's form of the message; 10 bytes of the first one are gone. */
#define MESSAGE ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n"

static const struct {
	void (*end)(void);
	enum door_end why;
	bool has_messages;
} ends[] = {
    {by_overflow, DOOR_END_SLOW, false},
    {by_reply_limit, DOOR_END_SLOW, false},
    {by_kill, DOOR_END_KICKED, false},
    {by_rules, DOOR_END_DENIED, false},
    {by_deletion, DOOR_END_DENIED, false},
    {by_own, DOOR_END_OWN, false},
    {by_lame_duck, DOOR_END_SHUTDOWN, true},
    {by_drain, DOOR_END_SHUTDOWN, true},
};

START_TEST(each_end_keeps_the_message_that_was_begun_and_says_why)
{
	char expected[200];

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		queue_messages(2);
		ends[i].end();
		ck_assert(!client_is_open(d->client));
		ck_assert(test_send(d, "late"));
		test_turns(1);
		ck_assert(d->finished);
		ck_assert_ptr_null(d->killed);
		snprintf(expected, sizeof(expected), "%s%sbye%d", MESSAGE + 10,
		    ends[i].has_messages ? MESSAGE MESSAGE : "", (int)ends[i].why);
		test_turns(1);
		(void)test_call(c, "PUBLISH news late");
		ck_assert_str_eq(test_read(d), expected);
		test_close(d);
		test_config.buffer_limit[SERVER_CLASS_PUBSUB].hard_bytes = 0;
		may_hear = true;
		d = test_open_door(NULL, &door);
		d->row = &plain;
	}
}
END_TEST

START_TEST(a_dismissed_client_that_does_not_read_is_killed_by_the_next_reason)
{
	queue_messages(2);
	by_kill();
	test_turns(1);
	ck_assert(d->finished);
	by_kill();
	ck_assert_str_eq(d->killed, "closed by CLIENT KILL");
	ck_assert(client_is_dead(d->client));
}
END_TEST

START_TEST(a_door_without_a_farewell_is_closed_at_once)
{
	queue_messages(2);
	may_speak = false;
	by_overflow();
	ck_assert_ptr_nonnull(d->killed);
	ck_assert(client_is_dead(d->client));
	ck_assert(TAILQ_EMPTY(&test_server->clients->dismissed));
}
END_TEST

START_TEST(a_client_may_leave_before_its_queue_is_cut)
{
	queue_messages(2);
	by_overflow();
	ck_assert(!TAILQ_EMPTY(&test_server->clients->dismissed));
	test_close(d);
	ck_assert(TAILQ_EMPTY(&test_server->clients->dismissed));
	test_turns(1);
	ck_assert_int_eq(freed, 1);
}
END_TEST

START_TEST(a_queue_is_cut_when_the_write_in_flight_has_ended)
{
	struct outbox *outbox = server_outbox(d->client);
	struct iovec piece;

	queue_messages(2);
	ck_assert_uint_eq(outbox_peek(outbox, &piece, 1), 1);
	piece.iov_len = 30;
	outbox_begin_write(outbox, &piece, 1);
	by_own();
	test_turns(1);
	ck_assert(!d->finished);
	outbox_end_write(outbox, 30);
	test_turns(1);
	ck_assert(d->finished);
	ck_assert_str_eq(test_read(d), &(MESSAGE "bye4")[6]);
}
END_TEST

START_TEST(the_memory_guard_kills_a_dismissed_client)
{
	queue_messages(2);
	by_own();
	test_config.hub.memory_bytes = 1;
	test_turns(1);
	ck_assert_ptr_nonnull(d->killed);
	ck_assert(TAILQ_EMPTY(&test_server->clients->dismissed));
}
END_TEST

/* A door's request that publishes to its own client, which overflows, and then has to wait. */
static enum command_result
publish_and_wait(struct request *rq)
{
	queue_messages(1);
	by_overflow();
	rq->waits_for = WAIT_ROOM;
	return COMMAND_LATER;
}

START_TEST(a_client_that_is_dismissed_in_its_own_request_does_not_wait)
{
	static const struct command row = {.name = "row", .handler = publish_and_wait};

	d->row = &row;
	ck_assert(test_send(d, "x"));
	ck_assert_ptr_null(d->client->pending);
	test_turns(1);
	ck_assert(d->finished);
}
END_TEST

START_TEST(messages_of_a_queue_group_go_to_its_other_members)
{
	struct test_conn *other = test_open_door(NULL, &door);

	for (struct test_conn *i = d;; i = other) {
		ck_assert_int_eq(hub_join_queue(&i->client->subscriber, QUEUE_BY_COMMAND,
				     SLICE("q"), HUB_CHANNEL, SLICE("news")),
		    HUB_OK);
		if (i == other)
			break;
	}
	(void)test_call(c, "PUBLISH news x");
	(void)test_call(c, "PUBLISH news x");
	by_own();
	test_turns(1);
	ck_assert_str_eq(test_read(d), "bye4");
	ck_assert_uint_eq(server_outbox(other->client)->messages, 2);
}
END_TEST

START_TEST(the_user_of_a_door_exists_and_may_do_nothing)
{
	struct acl_user *user = d->client->user;

	ck_assert_str_eq(user->name, "edge");
	ck_assert(!user->enabled && !user->nopass && !user->unrestricted);
	ck_assert(!acl_may_receive(user, SLICE("news"), false));
	ck_assert_ptr_nonnull(
	    strstr(test_call(c, "ACL LIST"), "user edge off sanitize-payload resetchannels -@all"));
	test_acl_file = "users.acl";
	memcpy(test_acl_text, "user bob on\n", sizeof("user bob on\n"));
	ck_assert_str_eq(test_call(c, "ACL LOAD"), "+OK\r\n");
	ck_assert_ptr_eq(access_edge_user(test_server), user);
	ck_assert(client_is_open(d->client));
	ck_assert_str_eq(test_call(c, "ACL DELUSER edge"), ":1\r\n");
	ck_assert_ptr_ne(access_edge_user(test_server), user);
	ck_assert_ptr_nonnull(access_edge_user(test_server));
	ck_assert(!client_is_open(d->client));
}
END_TEST

START_TEST(without_doors_there_is_no_such_user)
{
	test_teardown();
	test_setup();
	c = test_open();
	ck_assert_str_eq(test_call(c, "ACL USERS"), "*1\r\n$7\r\ndefault\r\n");
}
END_TEST

int
main(void)
{
	return testing_main("cmd/door", setup, test_teardown,
	    (const TTest *[]){a_request_of_a_door_is_executed_by_its_handler,
		a_request_of_a_door_may_go_on_in_later_turns,
		a_request_of_a_door_that_publishes_waits_for_the_end_of_a_pause,
		a_request_of_a_door_may_be_exempt_from_pauses,
		no_monitor_and_no_slow_log_shows_its_arguments, a_door_is_freed_with_its_client,
		a_door_says_that_its_client_is_refused, a_protocol_error_writes_no_resp_to_a_door,
		each_end_keeps_the_message_that_was_begun_and_says_why,
		a_dismissed_client_that_does_not_read_is_killed_by_the_next_reason,
		a_door_without_a_farewell_is_closed_at_once,
		a_client_may_leave_before_its_queue_is_cut,
		a_queue_is_cut_when_the_write_in_flight_has_ended,
		the_memory_guard_kills_a_dismissed_client,
		a_client_that_is_dismissed_in_its_own_request_does_not_wait,
		messages_of_a_queue_group_go_to_its_other_members,
		the_user_of_a_door_exists_and_may_do_nothing, without_doors_there_is_no_such_user,
		NULL});
}
