#include "config.h"

#include "pubsub/hub.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/testing_form.h"

/* Publishers that wait for room under OUTBOX_BLOCK, one event after the other. */

#define CLIENTS 3
#define SECOND_US 1000000

static struct hub *hub;
static struct hub_limits limits;
static struct subscriber subs[CLIENTS];
static struct hub_publication first, second;
static int overflows, rooms;

static void
on_ready(struct subscriber *s)
{
	(void)s;
}

static void
on_overflow(struct subscriber *s)
{
	ck_assert(s->outbox.sealed);
	overflows++;
}

static void
on_room(struct subscriber *s)
{
	(void)s;
	rooms++;
}

static const struct subscriber_ops ops = {on_ready, on_overflow, on_room, on_overflow};

/* subs[0] and subs[1] are subscribed to x and have room for two messages, subs[2] has no limit. */
static void
setup(void)
{
	struct hub_config config = {
	    .limits = &limits, .forms = &testing_form, .form_count = 1, .segment_bytes = 4096};
	struct outbox_limits two = {.messages = 2, .policy = OUTBOX_BLOCK}, none = {.bytes = 0};

	limits = (struct hub_limits){.subscriptions = 10, .subscribers = 10, .name_bytes = 10};
	hub = hub_new(&config);
	first = second = (struct hub_publication){0};
	overflows = rooms = 0;
	for (int i = 0; i < CLIENTS; i++) {
		hub_attach(hub, &subs[i], &ops, i < 2 ? &two : &none, 0, NULL);
		ck_assert_int_eq(hub_subscribe(&subs[i], HUB_CHANNEL, SLICE("x")), HUB_OK);
	}
}

static void
teardown(void)
{
	for (int i = 0; i < CLIENTS; i++)
		ck_assert(hub_detach(&subs[i], SIZE_MAX));
	hub_free(hub);
}

static enum hub_result
publish(struct hub_publication *p, const char *payload, uint64_t now_us)
{
	size_t receivers;

	return hub_publish(hub, HUB_CHANNEL, SLICE("x"), slice_of(payload), now_us, p, &receivers);
}

/* Fills both subscribers. Both publishers then wait, since the times 1000 and 2000. */
static void
wait_both(void)
{
	ck_assert_int_eq(publish(&first, "1", 1), HUB_OK);
	ck_assert_int_eq(publish(&first, "2", 1), HUB_OK);
	ck_assert_int_eq(publish(&first, "3", 1000), HUB_BLOCKED);
	ck_assert_int_eq(publish(&second, "4", 2000), HUB_BLOCKED);
	ck_assert_int_eq(rooms, 0);
}

/* A round in which both are tried; the second one then waits, or does not. */
static void
try_both(enum hub_result then)
{
	hub_begin_round(hub);
	ck_assert_int_eq(publish(&first, "3", 3000), HUB_BLOCKED);
	ck_assert_int_eq(publish(&second, "4", 3000), then);
	hub_end_round(hub);
}

static void
read_all(int i)
{
	outbox_consume(&subs[i].outbox, subs[i].outbox.bytes);
	outbox_flushed(&subs[i].outbox);
}

START_TEST(a_message_goes_to_all_or_to_nobody_yet)
{
	wait_both();
	ck_assert_uint_eq(subs[2].outbox.messages, 2);
	read_all(0);
	ck_assert_int_eq(publish(&first, "3", 3000), HUB_BLOCKED);
	ck_assert_uint_eq(subs[0].outbox.messages, 0);
	read_all(1);
	ck_assert_int_eq(publish(&second, "4", 3000), HUB_BLOCKED); /* it began to wait later */
	ck_assert_int_eq(publish(&first, "3", 3000), HUB_OK);
	ck_assert_int_eq(publish(&second, "4", 3000), HUB_OK);
	ck_assert_uint_eq(subs[0].outbox.messages, 2);
	ck_assert_uint_eq(subs[2].outbox.messages, 4);
}
END_TEST

START_TEST(a_subscriber_is_closed_when_it_was_waited_for_too_long_and_publishers_go_on)
{
	wait_both();
	hub_expire(hub, 999, SECOND_US);
	hub_expire(hub, 1000 + SECOND_US - 1, SECOND_US);
	ck_assert_int_eq(overflows, 0);
	hub_expire(hub, 1000 + SECOND_US, SECOND_US);
	ck_assert_int_eq(overflows, 0); /* publishers are tried once more */
	ck_assert_int_gt(rooms, 0);
	rooms = 0;
	try_both(HUB_OK);
	ck_assert_int_eq(overflows, 2);
	ck_assert_int_gt(rooms, 0);
	ck_assert_int_eq(publish(&first, "3", 3000), HUB_OK);
	ck_assert_uint_eq(subs[2].outbox.messages, 4);
	ck_assert_uint_eq(hub_figures(hub).blocking, 2);
	ck_assert(hub_detach(&subs[0], SIZE_MAX));
	ck_assert_uint_eq(hub_figures(hub).blocking, 1);
}
END_TEST

START_TEST(a_round_releases_subscribers_that_no_publisher_waits_for)
{
	wait_both();
	hub_end_publication(hub, &first);
	hub_expire(hub, 1000 + SECOND_US, SECOND_US); /* the second was not tried yet */
	ck_assert_int_eq(overflows, 0);
	hub_begin_round(hub);
	ck_assert_int_eq(publish(&second, "4", 3000), HUB_BLOCKED);
	hub_end_round(hub);
	ck_assert_int_eq(subs[0].awaited, HUB_AWAITED);
	hub_expire(hub, 2000 + SECOND_US - 1, SECOND_US);
	ck_assert_int_eq(overflows, 0);
	hub_end_publication(hub, &second);
	hub_begin_round(hub);
	hub_end_round(hub);
	ck_assert_int_eq(subs[0].awaited, HUB_NOT_AWAITED);
	hub_expire(hub, 10 * SECOND_US, SECOND_US);
	ck_assert_int_eq(overflows, 0);
}
END_TEST

START_TEST(nobody_is_closed_for_a_publisher_that_does_not_wait_when_it_is_tried_once_more)
{
	wait_both();
	hub_end_publication(hub, &second);
	hub_begin_round(hub);
	ck_assert_int_eq(publish(&first, "3", 3000), HUB_BLOCKED);
	hub_end_round(hub);
	hub_expire(hub, 10 * SECOND_US, SECOND_US);
	hub_begin_round(hub);
	hub_end_round(hub); /* the first publisher's publication has ended */
	hub_expire(hub, 10 * SECOND_US, SECOND_US);
	ck_assert_int_eq(overflows, 0);
	ck_assert_int_eq(subs[0].awaited, HUB_NOT_AWAITED);
}
END_TEST

START_TEST(a_subscriber_that_unsubscribes_again_and_again_is_still_closed)
{
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("y")), HUB_OK);
	wait_both();
	for (uint64_t now_us = 3000; now_us < 2 * SECOND_US; now_us += SECOND_US / 4) {
		hub_expire(hub, now_us, SECOND_US);
		hub_begin_round(hub);
		ck_assert_int_eq(publish(&first, "3", now_us), HUB_BLOCKED);
		if (subs[0].outbox.sealed)
			break;
		ck_assert_int_eq(publish(&second, "4", now_us), HUB_BLOCKED);
		ck_assert_int_eq(hub_unsubscribe(&subs[0], HUB_CHANNEL, SLICE("y")), HUB_OK);
		ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("y")), HUB_OK);
		hub_end_round(hub);
	}
	ck_assert(subs[0].outbox.sealed);
}
END_TEST

START_TEST(a_subscriber_that_a_held_reply_keeps_from_reading_has_time)
{
	outbox_bar(&subs[0].outbox);
	wait_both();
	hub_expire(hub, 10 * SECOND_US, SECOND_US);
	try_both(HUB_BLOCKED);
	ck_assert(!subs[0].outbox.sealed);
	ck_assert(subs[1].outbox.sealed);
	hub_unbar(&subs[0]);
	hub_expire(hub, 11 * SECOND_US - 1, SECOND_US);
	try_both(HUB_BLOCKED);
	ck_assert(!subs[0].outbox.sealed);
	hub_expire(hub, 11 * SECOND_US, SECOND_US);
	try_both(HUB_OK);
	ck_assert(subs[0].outbox.sealed);
}
END_TEST

START_TEST(a_longer_limit_holds_for_overdue_subscribers_at_once)
{
	wait_both();
	hub_expire(hub, 3 * SECOND_US, SECOND_US);
	hub_expire(hub, 3 * SECOND_US, 60 * SECOND_US);
	try_both(HUB_BLOCKED);
	ck_assert_int_eq(overflows, 0);
	hub_expire(hub, 61 * SECOND_US, 60 * SECOND_US);
	try_both(HUB_OK);
	ck_assert_int_eq(overflows, 2);
}
END_TEST

START_TEST(an_overdue_subscriber_that_unsubscribes_is_not_closed)
{
	ck_assert_int_eq(hub_subscribe(&subs[0], HUB_CHANNEL, SLICE("y")), HUB_OK);
	wait_both();
	hub_expire(hub, 3 * SECOND_US, SECOND_US);
	ck_assert_int_eq(hub_unsubscribe(&subs[0], HUB_CHANNEL, SLICE("x")), HUB_OK);
	hub_expire(hub, 3 * SECOND_US, SECOND_US);
	try_both(HUB_OK);
	hub_expire(hub, 9 * SECOND_US, SECOND_US);
	ck_assert(!subs[0].outbox.sealed);
	ck_assert(subs[1].outbox.sealed);
}
END_TEST

START_TEST(the_first_publisher_is_served_first_whoever_is_tried_first)
{
	wait_both();
	hub_begin_round(hub);
	ck_assert_int_eq(publish(&second, "4", 3000), HUB_BLOCKED);
	ck_assert_int_eq(publish(&first, "3", 3000), HUB_BLOCKED);
	hub_end_round(hub);
	read_all(0);
	read_all(1);
	ck_assert_int_eq(publish(&second, "4", 3000), HUB_BLOCKED);
	ck_assert_int_eq(publish(&first, "3", 3000), HUB_OK);
}
END_TEST

START_TEST(room_is_kept_for_a_second_at_most)
{
	wait_both();
	read_all(0);
	ck_assert_int_eq(subs[0].awaited, HUB_RESERVED);
	hub_expire(hub, 2000 + SECOND_US / 2, 60 * SECOND_US);
	ck_assert_int_eq(subs[0].awaited, HUB_RESERVED);
	hub_expire(hub, 2000 + 2 * SECOND_US, 60 * SECOND_US);
	ck_assert_int_eq(subs[0].awaited, HUB_NOT_AWAITED);
	ck_assert_int_eq(subs[1].awaited, HUB_AWAITED);
}
END_TEST

START_TEST(another_policy_or_no_subscription_ends_the_waiting_at_once)
{
	struct outbox_limits drop = {.messages = 2, .policy = OUTBOX_DROP_NEWEST};

	wait_both();
	hub_set_limits(&subs[0], &drop);
	ck_assert_int_eq(subs[0].awaited, HUB_NOT_AWAITED);
	ck_assert_int_eq(hub_unsubscribe(&subs[1], HUB_CHANNEL, SLICE("x")), HUB_OK);
	ck_assert_int_eq(subs[1].awaited, HUB_NOT_AWAITED);
	ck_assert_int_gt(rooms, 0);
	ck_assert_int_eq(publish(&second, "4", 3000), HUB_OK);
	ck_assert_int_eq(publish(&first, "3", 3000), HUB_OK);
	ck_assert_uint_eq(subs[0].outbox.messages, 2);
	ck_assert_uint_eq(subs[0].outbox.dropped, 2);
}
END_TEST

START_TEST(a_subscriber_takes_memory_for_waiting_publishers_only_while_there_are_any)
{
	struct outbox_limits drop = {.messages = 2, .policy = OUTBOX_DROP_NEWEST};

	ck_assert_int_eq(publish(&first, "1", 1), HUB_OK);
	ck_assert_ptr_null(subs[0].wait);
	ck_assert_int_eq(publish(&first, "2", 1), HUB_OK);
	ck_assert_int_eq(publish(&first, "3", 1000), HUB_BLOCKED);
	ck_assert_ptr_nonnull(subs[0].wait);
	ck_assert_ptr_nonnull(subs[1].wait);
	ck_assert_ptr_null(subs[2].wait);
	read_all(0); /* its room is reserved */
	ck_assert_ptr_nonnull(subs[0].wait);
	hub_set_limits(&subs[1], &drop);
	ck_assert_ptr_null(subs[1].wait);
	ck_assert_int_eq(publish(&first, "3", 3000), HUB_OK);
	ck_assert_ptr_null(subs[0].wait);
	ck_assert_int_eq(publish(&first, "4", 3000), HUB_OK);
	ck_assert_int_eq(publish(&first, "5", 3000), HUB_BLOCKED);
	ck_assert_ptr_nonnull(subs[0].wait);
	(void)!hub_detach(&subs[0], 0);
	ck_assert_ptr_null(subs[0].wait);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_wait", setup, teardown,
	    (const TTest *[]){a_message_goes_to_all_or_to_nobody_yet,
		a_subscriber_is_closed_when_it_was_waited_for_too_long_and_publishers_go_on,
		a_round_releases_subscribers_that_no_publisher_waits_for,
		nobody_is_closed_for_a_publisher_that_does_not_wait_when_it_is_tried_once_more,
		a_subscriber_that_unsubscribes_again_and_again_is_still_closed,
		a_subscriber_that_a_held_reply_keeps_from_reading_has_time,
		a_longer_limit_holds_for_overdue_subscribers_at_once,
		an_overdue_subscriber_that_unsubscribes_is_not_closed,
		the_first_publisher_is_served_first_whoever_is_tried_first,
		room_is_kept_for_a_second_at_most,
		another_policy_or_no_subscription_ends_the_waiting_at_once,
		a_subscriber_takes_memory_for_waiting_publishers_only_while_there_are_any, NULL});
}
