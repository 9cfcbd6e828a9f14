#include "config.h"

#include <fanfare/core.h>

#include "base/testing.h"
#include "core/testing_core.h"

/* What a callback may call, and that everything else finds the hub busy. */
static struct fanfare_hub *hub;
static struct fanfare_subscriber *s;
static struct fanfare_publisher *publisher;
static int calls, wanted;

static bool
read_one(void *arg, const struct fanfare_message *message)
{
	(void)arg;
	(void)message;
	return true;
}

/* A subscriber that is being closed says so first. */
static void
expect_refused(enum fanfare_result result)
{
	ck_assert(result == FANFARE_BUSY || result == FANFARE_CLOSED);
}

static void
try_subscriber(void)
{
	struct fanfare_limits limits = {.size = sizeof(limits)};
	struct fanfare_subscriber *its;
	struct fanfare_message message;

	ck_assert_result(fanfare_subscriber_new(hub, NULL, &its), FANFARE_BUSY);
	ck_assert_result(fanfare_subscriber_close(s, 1), FANFARE_BUSY);
	expect_refused(fanfare_subscriber_set_limits(s, &limits));
	expect_refused(fanfare_subscriber_set_dedup(s, true));
	expect_refused(fanfare_subscribe(s, B("x"), 1));
	expect_refused(fanfare_unsubscribe(s, B("a")));
	expect_refused(fanfare_psubscribe(s, B("x")));
	expect_refused(fanfare_punsubscribe(s, B("a*")));
	expect_refused(fanfare_resume(s, B("x"), B("0"), 1, NULL));
	expect_refused(fanfare_presume(s, B("x"), B("0"), 1, 0, NULL));
	expect_refused(fanfare_subscriber_next(s, &message));
	ck_assert_result(fanfare_subscriber_end_write(s, 1), FANFARE_BUSY);
}

static void
try_everything(void)
{
	struct fanfare_figures figures = {.size = sizeof(figures)};
	struct fanfare_form form = {.size = sizeof(form)};
	struct fanfare_position p = {0, 0};
	struct fanfare_publisher *its;
	struct fanfare_bytes name;
	char error[FANFARE_ERROR_TEXT];
	unsigned number;

	calls++;
	ck_assert_result(fanfare_hub_free(hub), FANFARE_BUSY);
	ck_assert_result(fanfare_hub_set_memory(hub, 0, 0), FANFARE_BUSY);
	ck_assert_result(fanfare_hub_set_block(hub, 0), FANFARE_BUSY);
	ck_assert_result(fanfare_hub_work(hub, 1, NULL), FANFARE_BUSY);
	ck_assert_result(fanfare_hub_begin_round(hub), FANFARE_BUSY);
	ck_assert_result(fanfare_hub_end_round(hub), FANFARE_BUSY);
	memset(error, 'x', sizeof(error));
	ck_assert_result(fanfare_channel_set(hub, B("x"), B("max-message 1"), error), FANFARE_BUSY);
	ck_assert_str_eq(error, "");
	ck_assert_result(fanfare_channel_unset(hub, B("a*"), B(""), error), FANFARE_BUSY);
	ck_assert_result(fanfare_publish(hub, B("a"), B("1"), 1, NULL), FANFARE_BUSY);
	ck_assert_result(fanfare_publisher_new(hub, &its), FANFARE_BUSY);
	ck_assert_result(fanfare_publisher_end(publisher), FANFARE_BUSY);
	ck_assert_result(fanfare_publisher_free(publisher), FANFARE_BUSY);
	ck_assert_result(
	    fanfare_history_range(hub, B("a"), p, p, 0, 1, read_one, NULL, NULL), FANFARE_BUSY);
	ck_assert_result(
	    fanfare_history_last(hub, B("a"), 1, 1, read_one, NULL, NULL), FANFARE_BUSY);
	ck_assert_result(fanfare_history_delete(hub, B("a"), 1, NULL), FANFARE_BUSY);
	ck_assert_result(fanfare_hub_add_form(hub, &form, &number), FANFARE_INVALID);
	try_subscriber();
	ck_assert_uint_le(fanfare_numsub(hub, B("a")), 1);
	ck_assert_uint_le(fanfare_numpat(hub), 1);
	(void)fanfare_newest_position(hub);
	(void)fanfare_queued_position(s);
	(void)!fanfare_next_channel(hub, B(NULL), &name);
	ck_assert_ok(fanfare_hub_figures(hub, &figures));
}

static void
on_ready(void *arg, struct fanfare_subscriber *its)
{
	(void)arg;
	(void)its;
	try_everything();
}

static void
on_overflow(void *arg, struct fanfare_subscriber *its, enum fanfare_end end)
{
	(void)arg;
	(void)its;
	(void)end;
	try_everything();
}

static void
on_room(void *arg, struct fanfare_hub *its)
{
	(void)arg;
	(void)its;
	try_everything();
}

static void
on_interest(
    void *arg, struct fanfare_hub *its, bool is_pattern, struct fanfare_bytes name, bool is_wanted)
{
	(void)arg;
	(void)its;
	ck_assert_uint_eq(name.len, is_pattern ? 2 : 1);
	wanted += is_wanted ? 1 : -1;
	try_everything();
}

static bool
on_read(void *arg, const struct fanfare_message *message)
{
	(void)arg;
	(void)message;
	try_everything();
	return true;
}

static void
setup(void)
{
	struct fanfare_hub_options options = {
	    .size = sizeof(options), .room = on_room, .interest = on_interest};
	struct fanfare_limits limits = {.size = sizeof(limits), .messages = 1};
	struct fanfare_subscriber_options of_subscriber = {.size = sizeof(of_subscriber),
	    .limits = &limits,
	    .ready = on_ready,
	    .overflow = on_overflow};

	calls = wanted = 0;
	hub = testing_hub(&options, "a*:history-size 10 history-ttl 10");
	ck_assert_ok(fanfare_subscriber_new(hub, &of_subscriber, &s));
	ck_assert_ok(fanfare_publisher_new(hub, &publisher));
}

static void
teardown(void)
{
	calls = 0;
	ck_assert_ok(fanfare_hub_free(hub));
	ck_assert_int_eq(calls, 0);
}

START_TEST(interest_tells_of_first_and_last_subscriptions)
{
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(fanfare_psubscribe(s, B("a*")));
	ck_assert_int_eq(wanted, 2);
	ck_assert_ok(fanfare_unsubscribe(s, B("a")));
	ck_assert_ok(fanfare_subscriber_close(s, SIZE_MAX));
	ck_assert_int_eq(wanted, 0);
	ck_assert_int_eq(calls, 4);
	ck_assert_ok(fanfare_subscriber_new(hub, NULL, &s));
}
END_TEST

START_TEST(ready_and_overflow_are_called_in_the_middle_of_a_publish)
{
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	calls = 0;
	testing_publish(hub, "a", "1");
	ck_assert_int_eq(calls, 1);
	testing_publish(hub, "a", "2");
	ck_assert_int_eq(calls, 2);
	ck_assert_str_eq(testing_read(s), "a=1 closed");
}
END_TEST

START_TEST(room_is_called_in_the_middle_of_reading)
{
	struct fanfare_limits limits = {
	    .size = sizeof(limits), .messages = 1, .policy = FANFARE_BLOCK};
	struct fanfare_post post = {
	    .size = sizeof(post), .channel = B("a"), .payload = B("1"), .publisher = publisher};

	ck_assert_ok(fanfare_subscriber_set_limits(s, &limits));
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(fanfare_post(hub, &post, 1, NULL));
	ck_assert_result(fanfare_post(hub, &post, 1, NULL), FANFARE_BLOCKED);
	calls = 0;
	ck_assert_str_eq(testing_read(s), "a=1 ");
	ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(the_reader_of_history_is_a_callback_too)
{
	testing_publish(hub, "a", "1");
	calls = 0;
	ck_assert_ok(fanfare_history_last(hub, B("a"), 1, 1, on_read, NULL, NULL));
	ck_assert_int_eq(calls, 1);
	testing_publish(hub, "a", "2");
}
END_TEST

int
main(void)
{
	return testing_main("core/callbacks", setup, teardown,
	    (const TTest *[]){interest_tells_of_first_and_last_subscriptions,
		ready_and_overflow_are_called_in_the_middle_of_a_publish,
		room_is_called_in_the_middle_of_reading, the_reader_of_history_is_a_callback_too,
		NULL});
}
