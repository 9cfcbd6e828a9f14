#include "config.h"

#include <stdlib.h>

#include "base/testing.h"
#include "core/testing_core.h"

static struct fanfare_hub *hub;
static struct fanfare_publisher *publisher, *other;
static int rooms;

static void
on_room(void *arg, struct fanfare_hub *its)
{
	ck_assert_ptr_eq(arg, &rooms);
	ck_assert_ptr_eq(its, hub);
	rooms++;
}

static void
setup(void)
{
	struct fanfare_hub_options options = {.size = sizeof(options),
	    .message_max = 3 << 20,
	    .block_us = 1000,
	    .room = on_room,
	    .arg = &rooms};

	rooms = 0;
	hub = testing_hub(&options, NULL);
	ck_assert_ok(fanfare_publisher_new(hub, &publisher));
	ck_assert_ok(fanfare_publisher_new(hub, &other));
}

static void
teardown(void)
{
	ck_assert_ok(fanfare_hub_free(hub));
}

static enum fanfare_result
post_by(struct fanfare_publisher *its, const char *channel, const char *payload)
{
	struct fanfare_post post = {
	    .size = sizeof(post), .channel = B(channel), .payload = B(payload), .publisher = its};

	return fanfare_post(hub, &post, 1, NULL);
}

START_TEST(an_excepted_subscriber_does_not_get_the_message)
{
	struct fanfare_subscriber *a = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	struct fanfare_subscriber *b = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	struct fanfare_post post = {
	    .size = sizeof(post), .channel = B("a"), .payload = B("1"), .except = a};
	struct fanfare_outcome outcome;

	ck_assert_ok(fanfare_subscribe(a, B("a"), 1));
	ck_assert_ok(fanfare_subscribe(b, B("a"), 1));
	ck_assert_ok(fanfare_post(hub, &post, 1, &outcome));
	ck_assert_uint_eq(outcome.receivers, 1);
	ck_assert_uint_eq(outcome.queued, 1);
	ck_assert_uint_eq(outcome.catching_up, 0);
	ck_assert_uint_eq(outcome.position.seq, 0);
	ck_assert_str_eq(testing_read(a), "");
	ck_assert_str_eq(testing_read(b), "a=1 ");
}
END_TEST

START_TEST(arguments_are_checked)
{
	struct fanfare_hub *another = testing_hub(NULL, NULL);
	struct fanfare_post post = {.size = sizeof(post), .channel = B("a"), .payload = B("1")};

	ck_assert_ok(fanfare_post(hub, &post, 1, NULL));
	ck_assert_result(fanfare_post(NULL, &post, 1, NULL), FANFARE_INVALID);
	ck_assert_result(fanfare_post(hub, NULL, 1, NULL), FANFARE_INVALID);
	post.payload = (struct fanfare_bytes){NULL, 1};
	ck_assert_result(fanfare_post(hub, &post, 1, NULL), FANFARE_INVALID);
	post.payload = B(NULL);
	ck_assert_ok(fanfare_post(hub, &post, 1, NULL));
	post.channel = (struct fanfare_bytes){NULL, 1};
	ck_assert_result(fanfare_post(hub, &post, 1, NULL), FANFARE_INVALID);
	post.channel = B("a");
	post.publisher = publisher;
	ck_assert_result(fanfare_post(another, &post, 1, NULL), FANFARE_INVALID);
	post.publisher = NULL;
	post.except = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	ck_assert_result(fanfare_post(another, &post, 1, NULL), FANFARE_INVALID);
	ck_assert_ok(fanfare_hub_free(another));
	ck_assert_result(fanfare_publisher_new(NULL, &publisher), FANFARE_INVALID);
	ck_assert_result(fanfare_publisher_new(hub, NULL), FANFARE_INVALID);
	ck_assert_ok(fanfare_publisher_free(NULL));
	ck_assert_ok(fanfare_publisher_end(NULL));
}
END_TEST

START_TEST(a_message_has_the_length_that_hub_and_channel_allow)
{
	static char large[(3 << 20) + 1];

	ck_assert_ok(fanfare_publish(hub, B("a"), (struct fanfare_bytes){large, 3 << 20}, 1, NULL));
	ck_assert_result(
	    fanfare_publish(hub, B("a"), (struct fanfare_bytes){large, (3 << 20) + 1}, 1, NULL),
	    FANFARE_TOO_LARGE);
	ck_assert_result(
	    fanfare_publish(hub, B("a"), (struct fanfare_bytes){large, SIZE_MAX}, 1, NULL),
	    FANFARE_TOO_LARGE);
	ck_assert_ok(fanfare_channel_set(hub, B("small"), B("max-message 3"), NULL));
	ck_assert_ok(fanfare_publish(hub, B("small"), B("123"), 1, NULL));
	ck_assert_result(fanfare_publish(hub, B("small"), B("1234"), 1, NULL), FANFARE_TOO_LARGE);
	ck_assert_ok(fanfare_publish(hub, B("smaller"), B("1234"), 1, NULL));
}
END_TEST

START_TEST(a_blocked_publisher_gets_room_in_a_round)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_BLOCK, 1, false);

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(post_by(publisher, "a", "1"));
	ck_assert_result(post_by(publisher, "a", "2"), FANFARE_BLOCKED);
	ck_assert_result(post_by(other, "a", "3"), FANFARE_BLOCKED);
	ck_assert_int_eq(rooms, 0);
	ck_assert_str_eq(testing_read(s), "a=1 ");
	ck_assert_int_eq(rooms, 1);
	ck_assert_ok(fanfare_hub_begin_round(hub));
	ck_assert_result(fanfare_hub_begin_round(hub), FANFARE_INVALID);
	/* The room is for the one that has waited longest. */
	ck_assert_result(post_by(other, "a", "3"), FANFARE_BLOCKED);
	ck_assert_ok(post_by(publisher, "a", "2"));
	ck_assert_ok(fanfare_hub_end_round(hub));
	ck_assert_result(fanfare_hub_end_round(hub), FANFARE_INVALID);
	ck_assert_str_eq(testing_read(s), "a=2 ");
	ck_assert_ok(post_by(other, "a", "3"));
	ck_assert_str_eq(testing_read(s), "a=3 ");
	ck_assert_ok(fanfare_publisher_free(publisher));
}
END_TEST

START_TEST(a_publisher_that_gives_up_makes_room_for_others)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_BLOCK, 1, false);

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(post_by(publisher, "a", "1"));
	ck_assert_result(post_by(publisher, "a", "2"), FANFARE_BLOCKED);
	ck_assert_str_eq(testing_read(s), "a=1 ");
	ck_assert_ok(fanfare_publisher_end(publisher));
	ck_assert_ok(fanfare_hub_begin_round(hub));
	ck_assert_ok(fanfare_hub_end_round(hub));
	ck_assert_ok(post_by(other, "a", "3"));
	ck_assert_str_eq(testing_read(s), "a=3 ");
}
END_TEST

START_TEST(without_a_publisher_a_subscriber_that_blocks_overflows)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_BLOCK, 1, false);

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_uint_eq(testing_publish(hub, "a", "1"), 1);
	ck_assert_uint_eq(testing_publish(hub, "a", "2"), 1);
	ck_assert_str_eq(testing_read(s), "a=1 closed");
}
END_TEST

START_TEST(a_subscriber_that_blocks_for_too_long_is_closed)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_BLOCK, 1, false);
	struct fanfare_post post = {
	    .size = sizeof(post), .channel = B("a"), .payload = B("2"), .publisher = publisher};
	uint64_t next_us;

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(post_by(publisher, "a", "1"));
	ck_assert_result(fanfare_post(hub, &post, 10, NULL), FANFARE_BLOCKED);
	ck_assert_ok(fanfare_hub_work(hub, 1009, &next_us));
	ck_assert_int_eq(rooms, 0);
	ck_assert_uint_le(next_us, 100000);
	ck_assert_ok(fanfare_hub_work(hub, 1010, &next_us));
	ck_assert_int_eq(rooms, 1);
	ck_assert_ok(fanfare_hub_begin_round(hub));
	ck_assert_result(fanfare_post(hub, &post, 1010, NULL), FANFARE_BLOCKED);
	ck_assert_ok(fanfare_hub_end_round(hub));
	ck_assert_str_eq(testing_read(s), "a=1 closed");
	ck_assert_ok(fanfare_post(hub, &post, 1010, NULL));
}
END_TEST

/* Whether the next call of fanfare_hub_work() is due within a second, after the memory of what was
 * read has been freed. */
static bool
is_due(void)
{
	static uint64_t now_us;
	uint64_t next_us;

	for (int i = 0; i < 4; i++) {
		now_us += 1000000;
		ck_assert_ok(fanfare_hub_work(hub, now_us, &next_us));
	}
	return next_us <= now_us + 1000000;
}

START_TEST(work_is_due_often_only_while_publishers_wait)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_BLOCK, 1, false);

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert(!is_due());
	ck_assert_ok(post_by(publisher, "a", "1"));
	ck_assert(!is_due());
	ck_assert_result(post_by(publisher, "a", "2"), FANFARE_BLOCKED);
	ck_assert(is_due());
	ck_assert_ok(fanfare_publisher_end(publisher));
	ck_assert(!is_due());
	ck_assert_result(post_by(publisher, "a", "2"), FANFARE_BLOCKED);
	ck_assert_ok(fanfare_hub_set_block(hub, 0));
	ck_assert(is_due());
	ck_assert_ok(fanfare_publisher_free(publisher));
	ck_assert(!is_due());
}
END_TEST

START_TEST(a_subscriber_that_blocks_in_some_channels_is_closed_too)
{
	struct fanfare_limits limits = {.size = sizeof(limits), .messages = 1, .by_channels = true};
	struct fanfare_subscriber_options options = {.size = sizeof(options), .limits = &limits};
	struct fanfare_subscriber *s;
	uint64_t next_us;

	ck_assert_ok(fanfare_channel_set(hub, B("a"), B("outbox-policy block"), NULL));
	ck_assert_ok(fanfare_subscriber_new(hub, &options, &s));
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(post_by(publisher, "a", "1"));
	ck_assert_result(post_by(publisher, "a", "2"), FANFARE_BLOCKED);
	ck_assert_ok(fanfare_hub_work(hub, 1, &next_us));
	ck_assert_uint_le(next_us, 100000);
}
END_TEST

START_TEST(room_for_a_publisher_that_has_ended_is_for_the_next_one)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_BLOCK, 1, false);

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(post_by(publisher, "a", "1"));
	for (int i = 1; i < 4; i++) {
		ck_assert_result(post_by(publisher, "a", "2"), FANFARE_BLOCKED);
		ck_assert_int_eq(rooms, i - 1);
		ck_assert_str_eq(testing_read(s), "a=1 ");
		ck_assert_int_eq(rooms, i);
		if (i == 2)
			ck_assert_ok(fanfare_hub_begin_round(hub));
		ck_assert_ok(fanfare_publisher_end(publisher));
		if (i == 2)
			ck_assert_ok(fanfare_hub_end_round(hub));
		rooms = i;
		ck_assert_ok(post_by(other, "a", "1"));
	}
}
END_TEST

START_TEST(room_is_announced_again_after_a_publisher_got_it_without_a_round)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_BLOCK, 1, false);

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(post_by(publisher, "a", "1"));
	for (int i = 1; i < 4; i++) {
		ck_assert_result(post_by(publisher, "a", "1"), FANFARE_BLOCKED);
		ck_assert_str_eq(testing_read(s), "a=1 ");
		ck_assert_int_eq(rooms, i);
		ck_assert_ok(post_by(publisher, "a", "1"));
	}
}
END_TEST

START_TEST(a_large_message_is_copied_in_steps_for_a_publisher_and_at_once_without)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	static char large[(2 << 20) + 5];
	struct fanfare_post post = {.size = sizeof(post),
	    .channel = B("a"),
	    .payload = {large, sizeof(large)},
	    .publisher = publisher};
	struct fanfare_message message;
	enum fanfare_result result;
	int steps = 0;

	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)(i % 251);
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	while ((result = fanfare_post(hub, &post, 1, NULL)) == FANFARE_PREPARING)
		steps++;
	ck_assert_ok(result);
	ck_assert_int_gt(steps, 0);
	post.publisher = NULL;
	ck_assert_ok(fanfare_post(hub, &post, 1, NULL));
	for (int i = 0; i < 2; i++) {
		ck_assert_ok(fanfare_subscriber_next(s, &message));
		ck_assert_uint_eq(message.payload.len, sizeof(large));
		ck_assert_mem_eq(message.payload.data, large, sizeof(large));
	}
}
END_TEST

/* The beginning of a large message in steps, all bytes 'x'. */
static struct fanfare_post
begin_large(const char *channel)
{
	static char large[3 << 20];
	struct fanfare_post post = {.size = sizeof(post),
	    .channel = B(channel),
	    .payload = {large, sizeof(large)},
	    .publisher = publisher};

	memset(large, 'x', sizeof(large));
	ck_assert_result(fanfare_post(hub, &post, 1, NULL), FANFARE_PREPARING);
	return post;
}

static void
finish(const struct fanfare_post *post)
{
	enum fanfare_result result;

	while ((result = fanfare_post(hub, post, 1, NULL)) == FANFARE_PREPARING)
		continue;
	ck_assert_ok(result);
}

static void
check_read(struct fanfare_subscriber *s, const struct fanfare_post *post)
{
	struct fanfare_message message;

	ck_assert_ok(fanfare_subscriber_next(s, &message));
	ck_assert_uint_eq(message.channel.len, post->channel.len);
	ck_assert_mem_eq(message.channel.data, post->channel.data, post->channel.len);
	ck_assert_uint_eq(message.payload.len, post->payload.len);
	ck_assert_mem_eq(message.payload.data, post->payload.data, post->payload.len);
}

START_TEST(a_refused_message_leaves_nothing_to_the_next_one)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	static char other_bytes[3 << 20];
	struct fanfare_post post;

	memset(other_bytes, 'y', sizeof(other_bytes));
	ck_assert_ok(fanfare_psubscribe(s, B("*")));
	post = begin_large("a");
	ck_assert_ok(fanfare_channel_set(hub, B("a"), B("max-message 100"), NULL));
	ck_assert_result(fanfare_post(hub, &post, 1, NULL), FANFARE_TOO_LARGE);
	post.channel = B("b");
	post.payload.data = other_bytes;
	finish(&post);
	check_read(s, &post);
}
END_TEST

START_TEST(a_publisher_that_waits_cannot_publish_another_message)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	struct fanfare_post first, second;
	char *copy = malloc(3 << 20);

	ck_assert_ptr_nonnull(copy);
	ck_assert_ok(fanfare_psubscribe(s, B("*")));
	first = second = begin_large("a");
	second.channel = B("b");
	ck_assert_result(fanfare_post(hub, &second, 1, NULL), FANFARE_INVALID);
	second = first;
	second.payload.len--;
	ck_assert_result(fanfare_post(hub, &second, 1, NULL), FANFARE_INVALID);
	memset(copy, 'x', 3 << 20);
	second = first;
	second.payload.data = copy;
	copy[0] = 'y';
	ck_assert_result(fanfare_post(hub, &second, 1, NULL), FANFARE_INVALID);
	copy[0] = 'x';
	finish(&second);
	check_read(s, &first);
	second.channel = B("b");
	copy[0] = 'y';
	finish(&second);
	check_read(s, &second);
	first = begin_large("a");
	ck_assert_ok(fanfare_publisher_end(publisher));
	finish(&second);
	check_read(s, &second);
	free(copy);
}
END_TEST

START_TEST(a_blocked_publisher_cannot_publish_another_message)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_BLOCK, 1, false);

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(post_by(publisher, "a", "1"));
	ck_assert_result(post_by(publisher, "a", "2"), FANFARE_BLOCKED);
	ck_assert_result(post_by(publisher, "a", "3"), FANFARE_INVALID);
	ck_assert_result(post_by(publisher, "b", "2"), FANFARE_INVALID);
	ck_assert_str_eq(testing_read(s), "a=1 ");
	ck_assert_ok(post_by(publisher, "a", "2"));
	ck_assert_ok(post_by(publisher, "b", "2"));
	ck_assert_str_eq(testing_read(s), "a=2 ");
}
END_TEST

START_TEST(memory_max_limits_what_is_queued)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	static char large[500000];
	struct fanfare_bytes payload = {large, sizeof(large)};

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_ok(fanfare_hub_set_memory(hub, 1000000, 0));
	ck_assert_ok(fanfare_publish(hub, B("a"), payload, 1, NULL));
	ck_assert_result(fanfare_publish(hub, B("a"), payload, 1, NULL), FANFARE_FULL);
	ck_assert_ok(fanfare_hub_set_memory(hub, 1000, 0));
	ck_assert_result(fanfare_publish(hub, B("a"), payload, 1, NULL), FANFARE_TOO_LARGE);
	ck_assert_ok(fanfare_hub_set_memory(hub, 0, 0));
	ck_assert_ok(fanfare_publish(hub, B("a"), payload, 1, NULL));
	ck_assert_ok(fanfare_hub_set_block(hub, 0));
}
END_TEST

int
main(void)
{
	return testing_main("core/publish", setup, teardown,
	    (const TTest *[]){an_excepted_subscriber_does_not_get_the_message,
		arguments_are_checked, a_message_has_the_length_that_hub_and_channel_allow,
		a_blocked_publisher_gets_room_in_a_round,
		a_publisher_that_gives_up_makes_room_for_others,
		without_a_publisher_a_subscriber_that_blocks_overflows,
		a_subscriber_that_blocks_for_too_long_is_closed,
		work_is_due_often_only_while_publishers_wait,
		a_subscriber_that_blocks_in_some_channels_is_closed_too,
		room_for_a_publisher_that_has_ended_is_for_the_next_one,
		room_is_announced_again_after_a_publisher_got_it_without_a_round,
		a_large_message_is_copied_in_steps_for_a_publisher_and_at_once_without,
		a_refused_message_leaves_nothing_to_the_next_one,
		a_publisher_that_waits_cannot_publish_another_message,
		a_blocked_publisher_cannot_publish_another_message,
		memory_max_limits_what_is_queued, NULL});
}
