#include "config.h"

#include "base/testing.h"
#include "core/testing_core.h"

static struct fanfare_hub *hub;
static struct fanfare_subscriber *s;
static int readies;
static int ends[2];

static void
setup(void)
{
	struct fanfare_hub_options options = {
	    .size = sizeof(options), .subscriptions_max = 3, .subscribers_max = 2, .name_max = 4};

	readies = ends[0] = ends[1] = 0;
	hub = testing_hub(&options, NULL);
	s = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
}

static void
teardown(void)
{
	ck_assert_ok(fanfare_hub_free(hub));
}

static void
on_ready(void *arg, struct fanfare_subscriber *its)
{
	ck_assert_ptr_eq(arg, fanfare_subscriber_arg(its));
	readies++;
}

static void
on_overflow(void *arg, struct fanfare_subscriber *its, enum fanfare_end end)
{
	ck_assert_ptr_eq(arg, fanfare_subscriber_arg(its));
	ends[end]++;
}

static struct fanfare_subscriber *
with_callbacks(enum fanfare_policy policy, uint32_t messages)
{
	struct fanfare_limits limits = {
	    .size = sizeof(limits), .messages = messages, .policy = policy};
	struct fanfare_subscriber_options options = {.size = sizeof(options),
	    .limits = &limits,
	    .ready = on_ready,
	    .overflow = on_overflow,
	    .arg = &readies};
	struct fanfare_subscriber *its;

	ck_assert_ok(fanfare_subscriber_new(hub, &options, &its));
	return its;
}

START_TEST(a_subscription_is_made_once_and_ended_once)
{
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_result(fanfare_subscribe(s, B("a"), 1), FANFARE_ALREADY);
	ck_assert_ok(fanfare_psubscribe(s, B("a")));
	ck_assert_result(fanfare_psubscribe(s, B("a")), FANFARE_ALREADY);
	ck_assert_uint_eq(testing_publish(hub, "a", "x"), 2);
	ck_assert_str_eq(testing_read(s), "a=x a>a=x ");
	ck_assert_ok(fanfare_unsubscribe(s, B("a")));
	ck_assert_result(fanfare_unsubscribe(s, B("a")), FANFARE_NOT_SUBSCRIBED);
	ck_assert_ok(fanfare_punsubscribe(s, B("a")));
	ck_assert_result(fanfare_punsubscribe(s, B("a")), FANFARE_NOT_SUBSCRIBED);
	ck_assert_uint_eq(testing_publish(hub, "a", "x"), 0);
}
END_TEST

START_TEST(limits_of_subscriptions_subscribers_and_names_hold_at_their_last_value)
{
	struct fanfare_subscriber *second = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	struct fanfare_subscriber *third = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);

	ck_assert_ok(fanfare_subscribe(s, B("1234"), 1));
	ck_assert_result(fanfare_subscribe(s, B("12345"), 1), FANFARE_NAME_TOO_LONG);
	ck_assert_result(fanfare_psubscribe(s, B("12345")), FANFARE_NAME_TOO_LONG);
	ck_assert_result(fanfare_publish(hub, B("12345"), B(""), 1, NULL), FANFARE_NAME_TOO_LONG);
	ck_assert_ok(fanfare_subscribe(s, B("b"), 1));
	ck_assert_ok(fanfare_psubscribe(s, B("*")));
	ck_assert_result(fanfare_subscribe(s, B("c"), 1), FANFARE_TOO_MANY_SUBSCRIPTIONS);
	ck_assert_uint_eq(fanfare_subscription_count(s), 3);
	ck_assert_ok(fanfare_subscribe(second, B("b"), 1));
	ck_assert_result(fanfare_subscribe(third, B("b"), 1), FANFARE_TOO_MANY_SUBSCRIBERS);
	ck_assert_result(fanfare_subscribe(s, (struct fanfare_bytes){NULL, 1}, 1), FANFARE_INVALID);
	ck_assert_result(
	    fanfare_subscribe(s, (struct fanfare_bytes){"a", SIZE_MAX}, 1), FANFARE_NAME_TOO_LONG);
	ck_assert_result(fanfare_subscribe(NULL, B("a"), 1), FANFARE_INVALID);
	ck_assert_result(fanfare_psubscribe(NULL, B("a")), FANFARE_INVALID);
	ck_assert_result(fanfare_unsubscribe(NULL, B("a")), FANFARE_INVALID);
	ck_assert_result(fanfare_punsubscribe(NULL, B("a")), FANFARE_INVALID);
}
END_TEST

START_TEST(subscriptions_can_be_ended_from_the_oldest_on)
{
	struct fanfare_bytes name;

	ck_assert_result(fanfare_first_subscription(s, false, &name), FANFARE_EMPTY);
	ck_assert_ok(fanfare_subscribe(s, B("b"), 1));
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(fanfare_first_subscription(s, false, &name));
	ck_assert_mem_eq(name.data, "b", 1);
	ck_assert_ok(fanfare_unsubscribe(s, name));
	ck_assert_ok(fanfare_first_subscription(s, false, &name));
	ck_assert_mem_eq(name.data, "a", 1);
	ck_assert_result(fanfare_first_subscription(s, true, &name), FANFARE_EMPTY);
	ck_assert_result(fanfare_first_subscription(s, true, NULL), FANFARE_INVALID);
	ck_assert_result(fanfare_first_subscription(NULL, true, &name), FANFARE_INVALID);
}
END_TEST

START_TEST(ready_is_called_once_until_everything_was_read)
{
	struct fanfare_subscriber *its = with_callbacks(FANFARE_DISCONNECT, 0);
	struct fanfare_message message;

	ck_assert_ok(fanfare_subscribe(its, B("a"), 1));
	testing_publish(hub, "a", "1");
	testing_publish(hub, "a", "2");
	ck_assert_int_eq(readies, 1);
	ck_assert_ok(fanfare_subscriber_next(its, &message));
	testing_publish(hub, "a", "3");
	ck_assert_int_eq(readies, 1);
	ck_assert_str_eq(testing_read(its), "a=2 a=3 ");
	testing_publish(hub, "a", "4");
	ck_assert_int_eq(readies, 2);
}
END_TEST

START_TEST(each_policy_decides_about_the_first_message_too_many)
{
	struct fanfare_subscriber *oldest = testing_subscriber(hub, FANFARE_DROP_OLDEST, 2, true);
	struct fanfare_subscriber *newest = testing_subscriber(hub, FANFARE_DROP_NEWEST, 2, true);

	ck_assert_ok(fanfare_subscribe(oldest, B("a"), 1));
	ck_assert_ok(fanfare_subscribe(newest, B("a"), 1));
	testing_publish(hub, "a", "1");
	testing_publish(hub, "a", "2");
	testing_publish(hub, "a", "3");
	ck_assert_str_eq(testing_read(oldest), "missed:1 a=2 a=3 ");
	ck_assert_str_eq(testing_read(newest), "a=1 a=2 missed:1 ");
}
END_TEST

START_TEST(a_subscriber_that_overflows_can_read_what_is_queued_and_then_is_closed)
{
	struct fanfare_subscriber *its = with_callbacks(FANFARE_DISCONNECT, 1);

	ck_assert_ok(fanfare_subscribe(its, B("a"), 1));
	testing_publish(hub, "a", "1");
	ck_assert_int_eq(ends[FANFARE_OVERFLOW], 0);
	testing_publish(hub, "a", "2");
	ck_assert_int_eq(ends[FANFARE_OVERFLOW], 1);
	ck_assert_int_eq(ends[FANFARE_OVERTAKEN], 0);
	ck_assert_uint_eq(testing_publish(hub, "a", "3"), 0);
	ck_assert_result(fanfare_subscribe(its, B("b"), 1), FANFARE_CLOSED);
	ck_assert_str_eq(testing_read(its), "a=1 closed");
	ck_assert_ok(fanfare_subscriber_close(its, SIZE_MAX));
	ck_assert_uint_eq(fanfare_numsub(hub, B("a")), 0);
}
END_TEST

START_TEST(a_subscriber_is_closed_in_slices)
{
	struct fanfare_message message;

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(fanfare_subscribe(s, B("b"), 1));
	testing_publish(hub, "a", "1");
	ck_assert_result(fanfare_subscriber_close(s, 0), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_close(s, 1), FANFARE_MORE);
	ck_assert_uint_eq(testing_publish(hub, "b", "1"), 0);
	ck_assert_result(fanfare_subscriber_next(s, &message), FANFARE_CLOSED);
	ck_assert_result(fanfare_subscribe(s, B("c"), 1), FANFARE_CLOSED);
	ck_assert_result(fanfare_subscriber_set_dedup(s, true), FANFARE_CLOSED);
	while (fanfare_subscriber_close(s, 1) == FANFARE_MORE)
		continue;
	ck_assert_uint_eq(fanfare_numsub(hub, B("b")), 0);
	ck_assert_ok(fanfare_subscriber_close(NULL, 1));
}
END_TEST

START_TEST(limits_change_for_later_messages)
{
	struct fanfare_limits limits = {
	    .size = sizeof(limits), .messages = 1, .policy = FANFARE_DROP_NEWEST};
	struct fanfare_queue queue = {.size = sizeof(queue)};

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	testing_publish(hub, "a", "1");
	testing_publish(hub, "a", "2");
	ck_assert_ok(fanfare_subscriber_set_limits(s, &limits));
	testing_publish(hub, "a", "3");
	ck_assert_ok(fanfare_subscriber_queue(s, &queue));
	ck_assert_uint_eq(queue.messages, 2);
	ck_assert_uint_eq(queue.dropped, 1);
	ck_assert_uint_gt(queue.bytes, 2);
	ck_assert_uint_eq(queue.behind, 0);
	ck_assert_str_eq(testing_read(s), "a=1 a=2 ");
	limits.policy = (enum fanfare_policy)(FANFARE_CATCH_UP + 1);
	ck_assert_result(fanfare_subscriber_set_limits(s, &limits), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_set_limits(s, NULL), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_set_limits(NULL, &limits), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_queue(NULL, &queue), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_queue(s, NULL), FANFARE_INVALID);
}
END_TEST

START_TEST(with_dedup_a_subscriber_gets_one_copy)
{
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(fanfare_psubscribe(s, B("*")));
	ck_assert_ok(fanfare_subscriber_set_dedup(s, true));
	testing_publish(hub, "a", "1");
	ck_assert_str_eq(testing_read(s), "a=1 ");
	ck_assert_ok(fanfare_subscriber_set_dedup(s, false));
	testing_publish(hub, "a", "1");
	ck_assert_str_eq(testing_read(s), "a=1 *>a=1 ");
	ck_assert_result(fanfare_subscriber_set_dedup(NULL, true), FANFARE_INVALID);
}
END_TEST

START_TEST(options_of_a_subscriber_are_checked)
{
	struct fanfare_subscriber_options options = {.size = sizeof(options), .form = 1};
	struct fanfare_limits limits = {.size = 1};
	struct fanfare_subscriber *its;

	ck_assert_result(fanfare_subscriber_new(hub, &options, &its), FANFARE_INVALID);
	options.form = FANFARE_RECORDS;
	options.limits = &limits;
	ck_assert_result(fanfare_subscriber_new(hub, &options, &its), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_new(NULL, NULL, &its), FANFARE_INVALID);
	ck_assert_result(fanfare_subscriber_new(hub, NULL, NULL), FANFARE_INVALID);
	ck_assert_ptr_eq(fanfare_subscriber_hub(s), hub);
	ck_assert_ptr_null(fanfare_subscriber_hub(NULL));
	ck_assert_ptr_null(fanfare_subscriber_arg(NULL));
	ck_assert_uint_eq(fanfare_subscription_count(NULL), 0);
}
END_TEST

START_TEST(a_message_that_was_taken_stays_while_others_come_and_subscribers_go)
{
	struct fanfare_message message;
	static char large[100000];

	memset(large, 'l', sizeof(large));
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(
	    fanfare_publish(hub, B("a"), (struct fanfare_bytes){large, sizeof(large)}, 1, NULL));
	ck_assert_ok(fanfare_subscriber_next(s, &message));
	ck_assert_ok(fanfare_publish(hub, message.channel, message.payload, 1, NULL));
	ck_assert_ok(fanfare_subscriber_close(s, SIZE_MAX));
	for (uint64_t now_us = 1; now_us < 10000000; now_us += 1000000)
		testing_work(hub, now_us);
	ck_assert_uint_eq(message.payload.len, sizeof(large));
	ck_assert_mem_eq(message.payload.data, large, sizeof(large));
	ck_assert_mem_eq(message.channel.data, "a", 1);
	ck_assert_result(fanfare_subscriber_next(NULL, &message), FANFARE_INVALID);
}
END_TEST

int
main(void)
{
	return testing_main("core/subscriber", setup, teardown,
	    (const TTest *[]){a_subscription_is_made_once_and_ended_once,
		limits_of_subscriptions_subscribers_and_names_hold_at_their_last_value,
		subscriptions_can_be_ended_from_the_oldest_on,
		ready_is_called_once_until_everything_was_read,
		each_policy_decides_about_the_first_message_too_many,
		a_subscriber_that_overflows_can_read_what_is_queued_and_then_is_closed,
		a_subscriber_is_closed_in_slices, limits_change_for_later_messages,
		with_dedup_a_subscriber_gets_one_copy, options_of_a_subscriber_are_checked,
		a_message_that_was_taken_stays_while_others_come_and_subscribers_go, NULL});
}
