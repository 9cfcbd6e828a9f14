#include "config.h"

#include <check.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/testing.h"
#include "cmd/testing_server.h"
#include "server/client.h"
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
	static const struct outbox_limits limits = {.policy = OUTBOX_DISCONNECT};
	static const struct door_ops ops = {.name = "test", .ending = ending, .freed = on_freed};

	test_setup();
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
	ck_assert_str_eq(test_read(refused), "bye5");
	ck_assert(refused->finished);
	test_config.maxclients = 100;
	test_config.protected_mode = true;
	refused = test_open_door(
	    &(struct server_peer){.address = "192.0.2.1:1", .local_address = "192.0.2.2:1"}, &door);
	ck_assert_str_eq(test_read(refused), "bye6");
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

int
main(void)
{
	return testing_main("cmd/door", setup, test_teardown,
	    (const TTest *[]){a_request_of_a_door_is_executed_by_its_handler,
		a_request_of_a_door_may_go_on_in_later_turns,
		a_request_of_a_door_that_publishes_waits_for_the_end_of_a_pause,
		no_monitor_and_no_slow_log_shows_its_arguments, a_door_is_freed_with_its_client,
		a_door_says_that_its_client_is_refused, a_protocol_error_writes_no_resp_to_a_door,
		NULL});
}
