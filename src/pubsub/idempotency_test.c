#include "config.h"

#include "pubsub/idempotency.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"

#define SECOND UINT64_C(1000000)
#define START (1000 * SECOND)
#define MANY 100000

static struct idempotency *keys;

static void
setup(void)
{
	keys = idempotency_new();
}

static void
teardown(void)
{
	idempotency_free(keys);
}

static void
add(const char *channel, const char *key, size_t receivers, uint64_t now_us, uint64_t window_us)
{
	struct hub_outcome outcome = {.receivers = receivers, .queued = receivers / 2};

	idempotency_add(keys, slice_of(channel), slice_of(key), &outcome, now_us, window_us);
}

/* The receivers of the message with this key; -1: unknown. */
static int
found(const char *channel, const char *key, uint64_t now_us)
{
	const struct hub_outcome *outcome =
	    idempotency_find(keys, slice_of(channel), slice_of(key), now_us);

	if (outcome == NULL)
		return -1;
	ck_assert_uint_eq(outcome->queued, outcome->receivers / 2);
	return (int)outcome->receivers;
}

static bool
has_room(const char *channel, const char *key, size_t max, uint64_t now_us)
{
	return idempotency_has_room(keys, slice_of(channel), slice_of(key), max, now_us);
}

START_TEST(a_key_is_known_until_its_window_ends)
{
	ck_assert_int_eq(found("a", "k", START), -1);
	add("a", "k", 7, START, 10 * SECOND);
	ck_assert_int_eq(found("a", "k", START), 7);
	ck_assert_int_eq(found("a", "k", START + 10 * SECOND - 1), 7);
	ck_assert_int_eq(found("a", "k", START + 10 * SECOND), -1);
}
END_TEST

/* A key may be used again for another message before the answer to the first one comes. */
START_TEST(a_position_is_that_of_the_message_with_its_number)
{
	struct hub_outcome outcome = {.receivers = 1, .sent = 5};
	struct hub_position position = {7, 9};

	idempotency_add(keys, SLICE("a"), SLICE("k"), &outcome, START, SECOND);
	idempotency_set_position(keys, SLICE("a"), SLICE("k"), 4, position);
	idempotency_set_position(keys, SLICE("b"), SLICE("k"), 5, position);
	ck_assert_uint_eq(idempotency_find(keys, SLICE("a"), SLICE("k"), START)->position.epoch, 0);
	idempotency_set_position(keys, SLICE("a"), SLICE("k"), 5, position);
	ck_assert_uint_eq(idempotency_find(keys, SLICE("a"), SLICE("k"), START)->position.seq, 9);
}
END_TEST

START_TEST(a_key_belongs_to_its_channel)
{
	add("a", "bc", 1, START, SECOND);
	add("ab", "c", 2, START, SECOND);
	ck_assert_int_eq(found("a", "bc", START), 1);
	ck_assert_int_eq(found("ab", "c", START), 2);
	ck_assert_int_eq(found("abc", "", START), -1);
	ck_assert_int_eq(found("", "abc", START), -1);
	ck_assert_int_eq(found("bc", "a", START), -1);
}
END_TEST

START_TEST(a_key_may_be_used_again_after_its_window_whether_it_is_freed_or_not)
{
	add("a", "k", 1, START, SECOND);
	add("a", "k", 2, START + SECOND, 3 * SECOND);
	ck_assert_uint_eq(idempotency_count(keys), 1);
	ck_assert_int_eq(found("a", "k", START + 4 * SECOND - 1), 2);
	ck_assert(!idempotency_expire(keys, START + 4 * SECOND - 1, 10));
	ck_assert_int_eq(found("a", "k", START + 4 * SECOND - 1), 2);
	ck_assert(!idempotency_expire(keys, START + 4 * SECOND, 10));
	ck_assert_uint_eq(idempotency_count(keys), 0);
}
END_TEST

START_TEST(keys_whose_window_has_ended_make_room_and_no_others)
{
	add("a", "1", 1, START, SECOND);
	add("a", "2", 2, START, 2 * SECOND);
	ck_assert(has_room("a", "3", 3, START));
	ck_assert(!has_room("a", "3", 2, START));
	ck_assert(!has_room("a", "3", 0, START));
	ck_assert_int_eq(found("a", "1", START), 1);
	ck_assert(has_room("a", "3", 2, START + SECOND));
	ck_assert_int_eq(found("a", "2", START + SECOND), 2);
}
END_TEST

START_TEST(a_long_channel_and_key_count_as_several_keys)
{
	static char channel[65535 + 1], key[IDEMPOTENCY_KEY_MAX + 1];

	memset(channel, 'c', sizeof(channel) - 1);
	memset(key, 'k', sizeof(key) - 1);
	add("", key, 1, START, SECOND);
	ck_assert_uint_eq(idempotency_count(keys), 1);
	add("c", key, 1, START, SECOND);
	ck_assert_uint_eq(idempotency_count(keys), 3);
	add(channel, key, 5, START, SECOND);
	ck_assert_uint_eq(idempotency_count(keys), 3 + 257);
	ck_assert_int_eq(found(channel, key, START), 5);
	ck_assert(!has_room("x", key, 261, START));
	ck_assert(has_room("x", key, 262, START));
	ck_assert(!idempotency_expire(keys, START + SECOND, 10));
	ck_assert_uint_eq(idempotency_count(keys), 0);
}
END_TEST

START_TEST(many_keys_are_freed_in_steps_with_all_their_memory)
{
	size_t before = alloc_used_bytes();
	char key[32];

	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "key:%d", i);
		add("channel", key, (size_t)i, START, SECOND);
	}
	ck_assert_uint_eq(idempotency_count(keys), MANY);
	ck_assert_uint_lt(alloc_used_bytes() - before, (size_t)MANY * 160);
	ck_assert_int_eq(found("channel", "key:99999", START), 99999);
	ck_assert(idempotency_expire(keys, START + SECOND, 1000));
	ck_assert_uint_eq(idempotency_count(keys), MANY - 1000);
	while (idempotency_expire(keys, START + SECOND, 1000))
		continue;
	ck_assert_uint_eq(idempotency_count(keys), 0);
	ck_assert_uint_eq(alloc_used_bytes(), before);
}
END_TEST

/* The model: what became of each message, and when its window ends. */
#define CHANNELS 5
#define KEYS 40

static struct {
	size_t receivers;
	uint64_t end_us;
} model[CHANNELS][KEYS];

START_TEST(it_agrees_with_a_plain_model)
{
	uint64_t seed = 14, now_us = START, found_count = 0, added_count = 0, full_count = 0;
	char channel[8], key[8];

	memset(model, 0, sizeof(model));
	for (int i = 0; i < testing_steps(1000000); i++) {
		size_t c = testing_random(&seed) % CHANNELS, k = testing_random(&seed) % KEYS;
		bool is_known = model[c][k].end_us > now_us;
		uint64_t window_us = testing_random(&seed) % 300 + 1;

		now_us += testing_random(&seed) % 3;
		is_known = model[c][k].end_us > now_us;
		snprintf(channel, sizeof(channel), "c%zu", c);
		snprintf(key, sizeof(key), "k%zu", k);
		ck_assert_int_eq(
		    found(channel, key, now_us), is_known ? (int)model[c][k].receivers : -1);
		found_count += is_known;
		if (!is_known && has_room(channel, key, 50, now_us)) {
			added_count++;
			model[c][k].receivers = (size_t)i;
			model[c][k].end_us = now_us + window_us;
			add(channel, key, (size_t)i, now_us, window_us);
		} else if (!is_known) {
			size_t open = 0;

			full_count++;
			for (size_t n = 0; n < CHANNELS * KEYS; n++)
				open += model[n / KEYS][n % KEYS].end_us > now_us;
			ck_assert_uint_eq(open, 50);
		}
		ck_assert_uint_le(idempotency_count(keys), 50);
		if (testing_random(&seed) % 8 == 0)
			(void)idempotency_expire(keys, now_us, testing_random(&seed) % 4);
	}
	ck_assert_uint_gt(found_count, (uint64_t)testing_steps(1000000) / 50);
	ck_assert_uint_gt(added_count, (uint64_t)testing_steps(1000000) / 50);
	ck_assert_uint_gt(full_count, (uint64_t)testing_steps(1000000) / 50);
}
END_TEST

static bool
pass_on(void *arg, const struct idempotency_record *record)
{
	idempotency_add(arg, record->channel, record->key, record->outcome, START + 30 * SECOND,
	    record->end_us - (START + 30 * SECOND));
	return true;
}

static bool
stop(void *arg, const struct idempotency_record *record)
{
	(void)record;
	return --*(int *)arg > 0;
}

START_TEST(all_keys_pass_with_the_rest_of_their_windows)
{
	struct idempotency *next = idempotency_new(), *before = keys;
	int most = 1;

	add("c", "over", 1, START, 30 * SECOND);
	add("c", "k", 2, START, 40 * SECOND);
	add("", "k", 3, START, 50 * SECOND);
	add("c", "", 4, START, 60 * SECOND);
	ck_assert(idempotency_each(keys, START + 30 * SECOND, pass_on, next));
	ck_assert(!idempotency_each(keys, START + 30 * SECOND, stop, &most));
	ck_assert_int_eq(most, 0);
	keys = next;
	ck_assert_uint_eq(idempotency_count(keys), 3);
	ck_assert_int_eq(found("c", "over", START + 30 * SECOND), -1);
	ck_assert_int_eq(found("c", "k", START + 40 * SECOND - 1), 2);
	ck_assert_int_eq(found("c", "k", START + 40 * SECOND), -1);
	ck_assert_int_eq(found("", "k", START + 50 * SECOND - 1), 3);
	ck_assert_int_eq(found("c", "", START + 60 * SECOND - 1), 4);
	ck_assert_int_eq(found("c", "", START + 60 * SECOND), -1);
	idempotency_free(before);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/idempotency", setup, teardown,
	    (const TTest *[]){a_key_is_known_until_its_window_ends,
		a_position_is_that_of_the_message_with_its_number, a_key_belongs_to_its_channel,
		a_key_may_be_used_again_after_its_window_whether_it_is_freed_or_not,
		keys_whose_window_has_ended_make_room_and_no_others,
		a_long_channel_and_key_count_as_several_keys,
		many_keys_are_freed_in_steps_with_all_their_memory, it_agrees_with_a_plain_model,
		all_keys_pass_with_the_rest_of_their_windows, NULL});
}
