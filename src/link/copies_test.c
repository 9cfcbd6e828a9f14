#include "config.h"

#include "link/copies.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/glob.h"
#include "base/testing.h"
#include "resp/reply.h"
#include "resp/writer.h"

static struct link_copies copies;
static struct resp_reader *reader;

static void
setup(void)
{
	copies = (struct link_copies){0};
	reader = resp_reader_new(1 << 20, 8);
}

static void
teardown(void)
{
	link_copies_reset(&copies);
	resp_reader_free(reader);
}

/* Passes a push; true if it is a copy. Without a pattern it is the channel's own. */
static bool
push_of(enum hub_kind kind, const char *pattern, struct slice channel, struct slice payload)
{
	struct buffer out = {0};
	struct resp_value *value = NULL;
	bool is_copy;

	resp_put_push(&out, 3, pattern != NULL ? 4 : 3);
	resp_put_bulk_str(&out, pattern != NULL ? "pmessage" : "message");
	if (pattern != NULL)
		resp_put_bulk_str(&out, pattern);
	resp_put_bulk(&out, channel);
	resp_put_bulk(&out, payload);
	resp_reader_feed(reader, out.ptr, out.len);
	buffer_release(&out);
	ck_assert_int_eq(resp_reader_next(reader, &value), 1);
	is_copy = link_copies_is_copy(&copies, kind, &value);
	if (kind != HUB_SHARD)
		ck_assert_int_eq(value == NULL, !is_copy); /* the first one is kept */
	resp_value_free(value);
	return is_copy;
}

static bool
message(const char *channel, const char *payload)
{
	return push_of(HUB_CHANNEL, NULL, slice_of(channel), slice_of(payload));
}

static bool
pmessage(const char *pattern, const char *channel, const char *payload)
{
	return push_of(HUB_PATTERN, pattern, slice_of(channel), slice_of(payload));
}

static bool
smessage(const char *channel, const char *payload)
{
	return push_of(HUB_SHARD, NULL, slice_of(channel), slice_of(payload));
}

START_TEST(a_message_is_a_copy_if_it_came_by_another_subscription)
{
	ck_assert(!message("a", "1"));
	ck_assert(pmessage("*", "a", "1"));
	ck_assert(pmessage("a*", "a", "1"));
	ck_assert(!message("a", "1"));
	ck_assert(pmessage("*", "a", "1"));
	ck_assert(!message("a", "2"));
	ck_assert(!message("b", "2"));
}
END_TEST

START_TEST(the_same_message_twice_by_one_pattern_is_two)
{
	ck_assert(!pmessage("*", "a", ""));
	ck_assert(!pmessage("*", "a", ""));
	ck_assert(pmessage("a", "a", ""));
	ck_assert(!pmessage("*", "a", ""));
	ck_assert(pmessage("a", "a", ""));
}
END_TEST

START_TEST(channel_and_payload_are_not_mixed_up)
{
	ck_assert(!message("ab", "c"));
	ck_assert(!pmessage("*", "a", "bc"));
	ck_assert(!pmessage("a", "*", "bc"));
	ck_assert(!pmessage("a*", "a", "*"));
}
END_TEST

START_TEST(bytes_of_any_value_are_compared)
{
	struct slice channel = {"a\0b", 3}, other = {"a\0c", 3};

	ck_assert(!push_of(HUB_CHANNEL, NULL, channel, other));
	ck_assert(push_of(HUB_PATTERN, "*", channel, other));
	ck_assert(!push_of(HUB_PATTERN, "*", channel, channel));
	ck_assert(!push_of(HUB_PATTERN, "*", other, channel));
}
END_TEST

START_TEST(a_sharded_message_is_never_a_copy)
{
	ck_assert(!message("a", "1"));
	ck_assert(!smessage("a", "1"));
	ck_assert(!smessage("a", "1"));
	ck_assert(!message("a", "1"));
	ck_assert(!smessage("a", "1"));
	ck_assert(!pmessage("*", "a", "1"));
}
END_TEST

START_TEST(after_a_change_of_subscriptions_there_is_no_copy)
{
	ck_assert(!message("a", "1"));
	link_copies_reset(&copies);
	ck_assert(!pmessage("*", "a", "1"));
	link_copies_reset(&copies);
	link_copies_reset(&copies);
	ck_assert(!pmessage("*", "a", "1"));
}
END_TEST

/* A server with subscriptions to some channels and patterns. It sends copies in any order, which
 * changes with every message. */
#define CHANNELS 3
#define PATTERNS 4
#define SUBSCRIPTIONS (CHANNELS + PATTERNS)

static const char *const names[SUBSCRIPTIONS] = {"a", "ab", "b", "a*", "*", "*b", "[ab]"};
static bool is_subscribed[SUBSCRIPTIONS];

static size_t
matching(size_t channel, size_t *found)
{
	size_t count = 0;

	if (is_subscribed[channel])
		found[count++] = channel;
	for (size_t i = CHANNELS; i < SUBSCRIPTIONS; i++)
		if (is_subscribed[i] &&
		    glob_match(slice_of(names[i]), slice_of(names[channel]), false))
			found[count++] = i;
	return count;
}

/* Returns how many of the pushes of a message are no copies. */
static int
publish(size_t channel, const char *payload, uint64_t *seed)
{
	size_t found[SUBSCRIPTIONS], count = matching(channel, found);
	int heard = 0;

	for (; count > 0; count--) {
		size_t i = testing_random(seed) % count, at = found[i];

		found[i] = found[count - 1];
		heard += at < CHANNELS ? !message(names[channel], payload)
				       : !pmessage(names[at], names[channel], payload);
	}
	return heard;
}

static void
run(uint64_t seed)
{
	size_t channel = 0, found[SUBSCRIPTIONS], i;
	char payload[2] = "0";
	int published = 0, heard = 0;

	memset(is_subscribed, 0, sizeof(is_subscribed));
	for (int step = testing_steps(30000); step > 0; step--) {
		switch (testing_random(&seed) % 8) {
		case 0:
			i = testing_random(&seed) % SUBSCRIPTIONS;
			is_subscribed[i] = !is_subscribed[i];
			link_copies_reset(&copies);
			ck_assert_int_eq(heard, published);
			break;
		case 1:
			channel = testing_random(&seed) % CHANNELS;
			break;
		case 2:
			payload[0] = (char)('0' + testing_random(&seed) % 2);
			break;
		default:
			published += matching(channel, found) > 0;
			heard += publish(channel, payload, &seed);
			ck_assert_int_eq(heard, published);
		}
	}
	link_copies_reset(&copies);
}

START_TEST(each_message_is_heard_once_however_a_server_orders_the_copies)
{
	for (uint64_t seed = 1; seed <= 5; seed++)
		run(seed);
}
END_TEST

int
main(void)
{
	return testing_main("link/copies", setup, teardown,
	    (const TTest *[]){a_message_is_a_copy_if_it_came_by_another_subscription,
		the_same_message_twice_by_one_pattern_is_two, channel_and_payload_are_not_mixed_up,
		bytes_of_any_value_are_compared, a_sharded_message_is_never_a_copy,
		after_a_change_of_subscriptions_there_is_no_copy,
		each_message_is_heard_once_however_a_server_orders_the_copies, NULL});
}
