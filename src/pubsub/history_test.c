#include "config.h"

#include "pubsub/history.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"

#define CHANNELS 3000
#define S UINT64_C(1000000) /* a second */
#define EPOCH 77

static struct history_limits limits;
static struct history *history;
static uint32_t rings[CHANNELS]; /* by channel; its address is the owner */
static size_t forgotten_count;

static void
on_forgotten(void *arg, void *owner, uint32_t appended)
{
	(void)appended;
	ck_assert_ptr_eq(arg, &limits);
	ck_assert_uint_ne(*(uint32_t *)owner, 0);
	*(uint32_t *)owner = 0;
	forgotten_count++;
}

static void
setup(void)
{
	limits = (struct history_limits){.channels = 1000000};
	memset(rings, 0, sizeof(rings));
	forgotten_count = 0;
	history = history_new(&(struct history_config){
	    .limits = &limits, .epoch = EPOCH, .forgotten = on_forgotten, .arg = &limits});
}

static void
teardown(void)
{
	history_free(history);
}

static struct history_rules
rules_of(uint32_t size, uint32_t ttl_s)
{
	return (struct history_rules){
	    .size = size, .ttl_s = ttl_s, .bytes = 1 << 20, .message_bytes = 1 << 16};
}

static uint64_t
publish(int channel, const struct history_rules *rules, const char *text, uint64_t now_us)
{
	uint64_t seq = history_append(
	    history, &rings[channel], &rings[channel], rules, slice_of(text), now_us);

	history_enforce(history);
	return seq;
}

static size_t
len_at(int channel, uint64_t now_us)
{
	const struct ring *ring = history_ring(history, rings[channel], now_us);

	return ring != NULL ? ring->count : 0;
}

static bool
resumes(int channel, uint64_t seq, uint64_t now_us)
{
	const struct ring *ring = history_ring(history, rings[channel], now_us);

	return history_can_resume(history, ring, (struct hub_position){EPOCH, seq});
}

START_TEST(seq_counts_the_messages_of_all_channels)
{
	struct history_rules rules = rules_of(5, 60);

	ck_assert_uint_eq(history_position(history).seq, 0);
	ck_assert_uint_eq(publish(0, &rules, "a", 0), 1);
	ck_assert_uint_eq(publish(1, &rules, "b", 0), 2);
	ck_assert_uint_eq(publish(0, &rules, "c", 0), 3);
	ck_assert_uint_eq(history_position(history).seq, 3);
	ck_assert_uint_eq(history_position(history).epoch, EPOCH);
	ck_assert_uint_eq(len_at(0, 0), 2);
	ck_assert_uint_eq(len_at(1, 0), 1);
}
END_TEST

START_TEST(a_message_expires_at_its_time_and_not_before)
{
	struct history_rules rules = rules_of(5, 60);

	(void)publish(0, &rules, "a", 0);
	(void)publish(0, &rules, "b", 1 * S);
	ck_assert_uint_eq(len_at(0, 60 * S - 1), 2);
	ck_assert(resumes(0, 0, 60 * S - 1));
	ck_assert_uint_eq(len_at(0, 60 * S), 1);
	ck_assert(!resumes(0, 0, 60 * S));
	ck_assert(resumes(0, 1, 60 * S));
	ck_assert_uint_eq(len_at(0, 61 * S - 1), 1);
	ck_assert_uint_eq(len_at(0, 61 * S), 0);
	ck_assert_uint_eq(forgotten_count, 1);
	ck_assert_uint_eq(history_forgotten_seq(history), 2);
	ck_assert_uint_eq(history_figures(history).expired, 2);
	ck_assert_uint_eq(history_figures(history).bytes, 0);
}
END_TEST

START_TEST(a_freed_ring_makes_older_positions_of_channels_without_ring_lost)
{
	struct history_rules rules = rules_of(1, 10), longer = rules_of(10, 100);

	(void)publish(0, &longer, "a", 0);
	(void)publish(1, &rules, "b", 0);
	ck_assert(resumes(2, 0, 0));
	ck_assert_uint_eq(len_at(1, 10 * S), 0);
	ck_assert(!resumes(2, 1, 10 * S));
	ck_assert(resumes(2, 2, 10 * S));
	ck_assert(resumes(0, 0, 10 * S)); /* its ring has everything */
	/* A new ring does not know more than there was before it. */
	(void)publish(2, &longer, "c", 10 * S);
	ck_assert(!resumes(2, 1, 10 * S));
	ck_assert(resumes(2, 2, 10 * S));
}
END_TEST

START_TEST(only_positions_of_this_epoch_and_of_the_past_can_resume)
{
	struct history_rules rules = rules_of(5, 60);

	(void)publish(0, &rules, "a", 0);
	ck_assert(!resumes(0, 2, 0));
	ck_assert(!history_can_resume(history, NULL, (struct hub_position){EPOCH + 1, 1}));
	ck_assert(!history_can_resume(history, NULL, (struct hub_position){0, 0}));
}
END_TEST

START_TEST(a_message_that_is_too_long_empties_the_ring)
{
	struct history_rules rules = rules_of(1000, 60), tight = rules_of(1000, 60);

	for (int i = 0; i < 100; i++)
		(void)publish(0, &rules, "a", 0);
	rules.message_bytes = 2;
	ck_assert_uint_eq(publish(0, &rules, "ab", S), 101);
	ck_assert_uint_eq(len_at(0, S), 101);
	ck_assert_uint_eq(publish(0, &rules, "abc", S), 102);
	ck_assert_uint_eq(len_at(0, S), 0);
	ck_assert(!resumes(0, 101, S));
	ck_assert(resumes(0, 102, S));
	/* Other channels are not affected until the time has passed. */
	ck_assert(resumes(1, 0, 60 * S));
	ck_assert_uint_eq(forgotten_count, 0);
	ck_assert(history_work(history, 61 * S, 100));
	ck_assert(!resumes(1, 101, 61 * S));
	ck_assert_uint_eq(forgotten_count, 1);
	/* A message that exceeds history-bytes alone is not kept either. */
	tight.bytes = 3;
	(void)publish(0, &tight, "abc", 61 * S);
	ck_assert_uint_eq(len_at(0, 61 * S), 1);
	(void)publish(0, &tight, "abcd", 61 * S);
	ck_assert_uint_eq(len_at(0, 61 * S), 0);
}
END_TEST

START_TEST(size_and_bytes_bound_a_ring)
{
	struct history_rules rules = rules_of(3, 60);

	for (int i = 0; i < 10; i++)
		(void)publish(0, &rules, "four", 0);
	ck_assert_uint_eq(len_at(0, 0), 3);
	rules.bytes = 9;
	(void)publish(0, &rules, "four", 0);
	ck_assert_uint_eq(len_at(0, 0), 2);
	ck_assert(resumes(0, 9, 0));
	ck_assert(!resumes(0, 8, 0));
}
END_TEST

START_TEST(deleted_messages_are_lost_for_their_channel_only)
{
	struct history_rules rules = rules_of(1000, 60);

	for (int i = 0; i < 300; i++)
		(void)publish(i % 2, &rules, "a", 0);
	ck_assert_uint_eq(history_delete(history, rings[0], 0), 150);
	ck_assert_uint_eq(history_delete(history, rings[0], 0), 0);
	ck_assert_uint_eq(history_delete(history, 0, 0), 0);
	ck_assert_uint_eq(len_at(0, 0), 0);
	ck_assert_uint_eq(len_at(1, 0), 150);
	ck_assert(!resumes(0, 298, 0));
	ck_assert(resumes(0, 299, 0));
	ck_assert(resumes(1, 0, 0));
	ck_assert(resumes(2, 0, 0));
	(void)publish(0, &rules, "a", 0);
	ck_assert_uint_eq(len_at(0, 0), 1);
	ck_assert(resumes(0, 300, 0));
}
END_TEST

START_TEST(changed_rules_apply_to_what_is_kept)
{
	struct history_rules rules = rules_of(1000, 60);

	for (int i = 0; i < 1000; i++)
		(void)publish(0, &rules, "a", (uint64_t)i * S / 100);
	rules.size = 10;
	history_set_rules(history, rings[0], &rules, 10 * S);
	ck_assert_uint_eq(len_at(0, 10 * S), 10);
	rules.ttl_s = 5;
	history_set_rules(history, rings[0], &rules, 10 * S);
	ck_assert_uint_le(history_due_us(history), 15 * S);
	ck_assert(history_work(history, 15 * S, 1000));
	ck_assert_uint_eq(rings[0], 0);
	(void)publish(0, &rules, "a", 20 * S);
	rules.ttl_s = 100;
	history_set_rules(history, rings[0], &rules, 20 * S);
	ck_assert_uint_eq(len_at(0, 119 * S), 1);
	rules.bytes = 0;
	history_set_rules(history, rings[0], &rules, 119 * S);
	ck_assert_uint_eq(len_at(0, 119 * S), 0);
	rules.size = 0;
	history_set_rules(history, rings[0], &rules, 119 * S);
	ck_assert_uint_eq(rings[0], 0);
	ck_assert(!resumes(0, 1000, 119 * S));
	history_set_rules(history, 0, &rules, 119 * S);
}
END_TEST

START_TEST(who_begins_to_keep_makes_older_positions_lost)
{
	struct history_rules rules = rules_of(10, 60);

	ck_assert(resumes(0, 0, 0));
	history_begin_keeping(history);
	ck_assert(!resumes(0, 0, 0));
	ck_assert(resumes(0, 1, 0)); /* what HISTORY POSITION says now */
	ck_assert_uint_eq(publish(0, &rules, "a", 0), 2);
	ck_assert(resumes(0, 1, 0));
}
END_TEST

START_TEST(no_position_of_before_is_resumed_after_forgetting)
{
	struct history_rules rules = rules_of(5, 60);
	const struct ring *ring;

	(void)publish(0, &rules, "a", 0);
	(void)publish(0, &rules, "b", 0);
	ck_assert(resumes(0, 2, 0) && resumes(1, 2, 0));
	history_forget(history);
	ck_assert_uint_eq(history_position(history).seq, 3);
	ck_assert(!resumes(0, 2, 0) && !resumes(1, 2, 0));
	ck_assert(resumes(0, 3, 0) && resumes(1, 3, 0));
	ck_assert_uint_eq(len_at(0, 0), 2); /* for readers that have begun */
	ring = history_ring(history, rings[0], 0);
	ck_assert_uint_eq(history_count(history, ring), 0);
	ck_assert_uint_eq(history_count(history, NULL), 0);
	ck_assert_uint_eq(history_complete_seq(history, ring), 3);
	ck_assert_uint_eq(history_complete_seq(history, NULL), 3);
	(void)publish(0, &rules, "c", 0);
	(void)publish(1, &rules, "d", 0);
	ck_assert(!resumes(0, 2, 0) && resumes(0, 3, 0));
	ck_assert(!resumes(1, 2, 0) && resumes(1, 3, 0));
	ring = history_ring(history, rings[0], 0);
	ck_assert_uint_eq(history_count(history, ring), 1);
	ck_assert_uint_eq(history_seq_before_last(history, ring, 2), 3);
	ck_assert_uint_eq(history_seq_before_last(history, ring, 0), 4);
	ck_assert_uint_eq(history_delete(history, rings[0], 0), 1);
	ck_assert(!resumes(0, 3, 0) && resumes(0, 4, 0));
}
END_TEST

START_TEST(the_memory_limit_evicts_the_oldest_chunk_of_all)
{
	struct history_rules many = rules_of(1000, 1000), one = rules_of(1, 1000);
	char text[101] = "";

	memset(text, 'x', 100);
	(void)publish(0, &one, text, 0);
	for (int i = 0; i < 1000; i++)
		(void)publish(1, &many, text, 0);
	(void)publish(2, &one, text, 0);
	limits.memory_bytes = history_figures(history).bytes - 1;
	(void)publish(2, &one, text, 0);
	ck_assert_uint_eq(rings[0], 0);
	ck_assert_uint_eq(len_at(1, 0), 1000);
	ck_assert_uint_eq(history_figures(history).evicted, 1);
	ck_assert(!resumes(3, 0, 0));
	ck_assert(resumes(3, 1, 0));
	limits.memory_bytes /= 2;
	ck_assert(history_work(history, 0, 100000));
	ck_assert_uint_gt(len_at(1, 0), 400);
	ck_assert_uint_lt(len_at(1, 0), 600);
	ck_assert_uint_eq(len_at(2, 0), 1);
	ck_assert_uint_le(history_figures(history).bytes, limits.memory_bytes);
	ck_assert(!resumes(1, 400, 0));
	ck_assert(resumes(1, 700, 0));
}
END_TEST

START_TEST(a_memory_limit_below_one_message_keeps_nothing)
{
	struct history_rules rules = rules_of(10, 1000);

	limits.memory_bytes = 1;
	for (uint64_t i = 1; i <= 100; i++) {
		ck_assert_uint_eq(publish((int)(i % 3), &rules, "text", 0), i);
		ck_assert_uint_eq(history_figures(history).messages, 0);
		ck_assert_uint_eq(history_figures(history).rings, 0);
		ck_assert(!resumes(0, i - 1, 0));
		ck_assert(resumes(0, i, 0));
	}
}
END_TEST

START_TEST(at_the_limit_of_channels_one_that_was_not_written_to_goes)
{
	struct history_rules rules = rules_of(10, 1000);

	limits.channels = 100;
	for (int i = 0; i < 1000; i++) {
		(void)publish(i, &rules, "text", 0);
		(void)publish(0, &rules, "again", 0);
		ck_assert_uint_ne(rings[i], 0);
		ck_assert_uint_ne(rings[0], 0);
		ck_assert_uint_le(history_figures(history).rings, 100);
	}
	ck_assert_uint_eq(history_figures(history).rings, 100);
	limits.channels = 1;
	ck_assert(history_work(history, 0, 1000));
	ck_assert_uint_eq(history_figures(history).rings, 1);
}
END_TEST

START_TEST(expiry_of_many_rings_is_done_in_slices)
{
	struct history_rules rules = rules_of(10, 10);
	size_t before;
	int slices = 0;

	for (int i = 0; i < CHANNELS; i++)
		(void)publish(i, &rules, "text", 5 * S);
	ck_assert_uint_eq(history_due_us(history), 15 * S);
	ck_assert(history_work(history, 15 * S - 1, 10));
	do {
		before = forgotten_count;
		slices++;
		ck_assert_int_lt(slices, CHANNELS);
	} while (!history_work(history, 15 * S, 50) && forgotten_count - before <= 50);
	ck_assert_int_ge(slices, CHANNELS / 50);
	ck_assert_uint_eq(forgotten_count, CHANNELS);
	ck_assert_uint_eq(history_figures(history).bytes, 0);
	ck_assert_uint_eq(history_due_us(history), UINT64_MAX);
}
END_TEST

START_TEST(a_large_ring_is_freed_in_slices)
{
	struct history_rules rules = {100000, 10, 1 << 30, 1 << 16};
	int slices = 0;

	for (int i = 0; i < 20000; i++)
		(void)publish(
		    0, &rules, "a message of about sixty-four bytes, as many of them are", 0);
	ck_assert_uint_eq(history_delete(history, rings[0], 0), 20000);
	ck_assert_uint_eq(history_figures(history).messages, 0);
	ck_assert_uint_eq(history_due_us(history), 0);
	while (!history_work(history, 0, 10))
		slices++;
	ck_assert_int_gt(slices, 3);
	(void)publish(0, &rules, "a", 0);
	for (int i = 0; i < 20000; i++)
		(void)publish(
		    1, &rules, "a message of about sixty-four bytes, as many of them are", 0);
	/* All expired: its channel is free at once, its memory in slices. */
	ck_assert_ptr_null(history_ring(history, rings[1], 10 * S));
	ck_assert_uint_eq(rings[1], 0);
	ck_assert_uint_eq(history_due_us(history), 0);
	while (!history_work(history, 10 * S, 10))
		;
	ck_assert_uint_eq(history_figures(history).bytes, 0);
}
END_TEST

static void
publish_many(int channel, const struct history_rules *rules, int count, uint64_t now_us)
{
	for (int i = 0; i < count; i++)
		(void)publish(channel, rules,
		    "a message of about sixty-four bytes, as many of them are", now_us);
}

/* How many slices are left. */
static int
slices_at(uint64_t now_us)
{
	int slices = 0;

	while (!history_work(history, now_us, 10))
		slices++;
	return slices;
}

START_TEST(what_expires_in_a_large_ring_when_it_is_read_is_freed_in_slices)
{
	struct history_rules rules = {100000, 10, 1 << 30, 1 << 16};

	publish_many(0, &rules, 20000, 0);
	publish_many(0, &rules, 3, 1 * S);
	ck_assert_uint_eq(len_at(0, 10 * S), 3);
	ck_assert_uint_eq(history_figures(history).messages, 3);
	ck_assert_uint_eq(history_figures(history).expired, 20000);
	ck_assert_uint_gt(history_figures(history).bytes, 20000 * 64);
	ck_assert_int_gt(slices_at(10 * S), 3);
	ck_assert_uint_lt(history_figures(history).bytes, 20000);
	ck_assert(resumes(0, 20000, 10 * S));
	ck_assert(!resumes(0, 19999, 10 * S));
}
END_TEST

START_TEST(what_smaller_rules_leave_over_is_freed_in_slices)
{
	struct history_rules rules = {100000, 10, 1 << 30, 1 << 16};

	publish_many(0, &rules, 20000, 0);
	rules.size = 7;
	history_set_rules(history, rings[0], &rules, 0);
	ck_assert_uint_eq(len_at(0, 0), 7);
	ck_assert_uint_gt(history_figures(history).bytes, 20000 * 64);
	ck_assert_int_gt(slices_at(0), 3);
	/* A message may come before its channel's rules are set. */
	rules.size = 100000;
	publish_many(0, &rules, 20000, 0);
	rules.bytes = 500;
	publish_many(0, &rules, 1, 0);
	ck_assert_uint_eq(
	    len_at(0, 0), 500 / strlen("a message of about sixty-four bytes, as many of them are"));
	ck_assert_uint_gt(history_figures(history).bytes, 20000 * 64);
	ck_assert_int_gt(slices_at(0), 3);
}
END_TEST

START_TEST(a_message_frees_only_a_little_more_than_it_takes_at_a_lowered_limit)
{
	struct history_rules rules = rules_of(1, 60);
	size_t before;

	for (int i = 0; i < CHANNELS; i++)
		(void)publish(i, &rules, "text", 0);
	limits.memory_bytes = 1000;
	before = history_figures(history).rings;
	(void)publish(0, &rules, "text", 0);
	ck_assert_uint_lt(history_figures(history).rings, before);
	ck_assert_uint_gt(history_figures(history).rings, before - 100);
	ck_assert_int_gt(slices_at(0), 3);
	ck_assert_uint_le(history_figures(history).bytes, 1000);
}
END_TEST

START_TEST(a_clock_that_lags_keeps_the_order_of_expiry)
{
	struct history_rules rules = rules_of(10, 10);

	(void)publish(0, &rules, "a", 5 * S);
	(void)publish(0, &rules, "b", 4 * S);
	ck_assert_uint_eq(len_at(0, 15 * S - 1), 2);
	ck_assert_uint_eq(len_at(0, 15 * S), 0);
}
END_TEST

START_TEST(a_million_last_values_take_at_most_300_bytes_each)
{
	struct history_rules rules = rules_of(1, 1000);
	char text[65] = "";
	size_t before = alloc_used_bytes(), count = (size_t)testing_steps(1000000);
	uint32_t *numbers = xcalloc(count, sizeof(*numbers));

	before = alloc_used_bytes();
	memset(text, 'x', 64);
	for (size_t i = 0; i < count; i++)
		(void)history_append(history, &numbers[i], &numbers[i], &rules, slice_of(text), 0);
	ck_assert_uint_le((alloc_used_bytes() - before) / count, 300);
	ck_assert_uint_le(history_figures(history).bytes / count, 300);
	while (!history_work(history, 1000 * S, 1000))
		;
	ck_assert_uint_eq(history_figures(history).bytes, 0);
	ck_assert_uint_le(alloc_used_bytes(), before + 1000);
	xfree(numbers);
}
END_TEST

START_TEST(a_message_that_is_skipped_is_lost_for_readers_behind_it)
{
	struct history_rules rules = rules_of(10, 60);
	uint64_t before = publish(0, &rules, "x", 1), skipped = history_skip(history, rings[0], 2);

	ck_assert_uint_eq(skipped, before + 1);
	ck_assert(!resumes(0, before, 2));
	ck_assert(resumes(0, skipped, 2));
	ck_assert_uint_eq(len_at(0, 2), 0);
	publish(0, &rules, "y", 3);
	ck_assert(resumes(0, skipped, 3));
}
END_TEST

START_TEST(a_ring_lives_a_ttl_from_the_message_that_was_skipped)
{
	struct history_rules rules = rules_of(10, 10);
	uint64_t skipped;

	(void)publish(0, &rules, "x", 0);
	skipped = history_skip(history, rings[0], 9 * S);
	ck_assert(resumes(0, skipped, 19 * S - 1));
	ck_assert_uint_ne(rings[0], 0);
	ck_assert_uint_eq(len_at(0, 19 * S), 0);
	ck_assert_uint_eq(rings[0], 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/history", setup, teardown,
	    (const TTest *[]){seq_counts_the_messages_of_all_channels,
		a_message_expires_at_its_time_and_not_before,
		a_freed_ring_makes_older_positions_of_channels_without_ring_lost,
		only_positions_of_this_epoch_and_of_the_past_can_resume,
		a_message_that_is_too_long_empties_the_ring, size_and_bytes_bound_a_ring,
		deleted_messages_are_lost_for_their_channel_only,
		changed_rules_apply_to_what_is_kept, who_begins_to_keep_makes_older_positions_lost,
		no_position_of_before_is_resumed_after_forgetting,
		the_memory_limit_evicts_the_oldest_chunk_of_all,
		a_memory_limit_below_one_message_keeps_nothing,
		at_the_limit_of_channels_one_that_was_not_written_to_goes,
		expiry_of_many_rings_is_done_in_slices, a_large_ring_is_freed_in_slices,
		what_expires_in_a_large_ring_when_it_is_read_is_freed_in_slices,
		what_smaller_rules_leave_over_is_freed_in_slices,
		a_message_frees_only_a_little_more_than_it_takes_at_a_lowered_limit,
		a_clock_that_lags_keeps_the_order_of_expiry,
		a_million_last_values_take_at_most_300_bytes_each,
		a_message_that_is_skipped_is_lost_for_readers_behind_it,
		a_ring_lives_a_ttl_from_the_message_that_was_skipped, NULL});
}
