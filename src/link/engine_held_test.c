#include "config.h"

#include "link/engine_held.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "link/engine_frame.h"

static struct engine_held held;

static void
setup(void)
{
	memset(&held, 0, sizeof(held));
}

static void
teardown(void)
{
	engine_held_release(&held);
}

/* The payload of a message is the text of its seq. */
static void
add(const char *channel, uint64_t seq, uint64_t number)
{
	char payload[24];
	int len = snprintf(payload, sizeof(payload), "%llu", (unsigned long long)seq);
	struct engine_frame frame = {
	    .position = {1, seq}, .number = number, .payload = {payload, (size_t)len}};

	engine_held_add(&held, slice_of(channel), &frame);
	memset(payload, 'x', sizeof(payload));
}

static void
add_gap(const char *channel, uint64_t seq, uint64_t number, uint64_t count)
{
	engine_held_add_gap(&held, seq, number, count, slice_of(channel));
}

/* Takes an item, which is a message with this seq and its channel. */
static void
assert_message(const char *channel, uint64_t seq)
{
	const struct engine_held_item *item = engine_held_take(&held);
	char payload[24];

	snprintf(payload, sizeof(payload), "%llu", (unsigned long long)seq);
	ck_assert_ptr_nonnull(item);
	ck_assert_uint_eq(item->seq, seq);
	ck_assert_uint_eq(item->count, 0);
	ck_assert(slice_is(item->channel, channel));
	ck_assert(slice_is(item->payload, payload));
}

static void
assert_gap(const char *channel, uint64_t seq, uint64_t number, uint64_t count)
{
	const struct engine_held_item *item = engine_held_take(&held);

	ck_assert_ptr_nonnull(item);
	ck_assert_uint_eq(item->seq, seq);
	ck_assert_uint_eq(item->number, number);
	ck_assert_uint_eq(item->count, count);
	ck_assert(slice_is(item->channel, channel));
	ck_assert_uint_eq(item->payload.len, 0);
}

static void
assert_empty(void)
{
	ck_assert_ptr_null(engine_held_take(&held));
	ck_assert_uint_eq(held.count, 0);
	ck_assert_uint_eq(held.bytes, 0);
	ck_assert_ptr_null(held.items);
}

START_TEST(messages_are_taken_in_the_order_of_their_positions)
{
	add("b", 7, 3);
	add("a", 5, 1);
	add("", 9, 1);
	add("a", 6, 2);
	engine_held_sort(&held);
	assert_message("a", 5);
	assert_message("a", 6);
	assert_message("b", 7);
	assert_message("", 9);
	assert_empty();
	assert_empty();
}
END_TEST

START_TEST(a_message_that_came_several_times_is_taken_once)
{
	for (int i = 0; i < 3; i++) {
		add("a", 5, 1);
		add("a", 6, 2);
	}
	engine_held_sort(&held);
	ck_assert_uint_eq(held.count, 2);
	assert_message("a", 5);
	assert_message("a", 6);
	assert_empty();
}
END_TEST

START_TEST(a_gap_is_taken_behind_a_message_with_its_position)
{
	add("b", 7, 3);
	add("b", 7, 3);
	add("a", 8, 12);
	add_gap("a", 7, 11, 4);
	add_gap("c", 7, 2, 1);
	add_gap("d", 2, 9, UINT64_MAX);
	engine_held_sort(&held);
	assert_gap("d", 2, 9, UINT64_MAX);
	assert_message("b", 7);
	for (int i = 0; i < 2; i++) { /* in any order */
		const struct engine_held_item *gap = engine_held_take(&held);

		ck_assert_uint_eq(gap->seq, 7);
		ck_assert_uint_eq(gap->count, slice_is(gap->channel, "a") ? 4 : 1);
	}
	assert_message("a", 8);
	assert_empty();
}
END_TEST

START_TEST(messages_may_come_while_others_are_taken)
{
	for (uint64_t seq = 1; seq <= 100; seq++)
		add("a", 101 - seq, 101 - seq);
	engine_held_sort(&held);
	for (uint64_t seq = 1; seq <= 200; seq++) {
		assert_message("a", seq);
		if (seq <= 100)
			add("a", 100 + seq, 100 + seq);
		else if (seq == 150)
			engine_held_sort(&held); /* what was taken does not come back */
	}
	assert_empty();
	add("a", 1, 1);
	assert_message("a", 1);
	assert_empty();
}
END_TEST

START_TEST(memory_is_counted_until_it_is_free)
{
	static char large[100000];
	struct engine_frame frame = {.position = {1, 1}, .number = 1};
	size_t one;

	add("a", 1, 1);
	one = held.bytes;
	ck_assert_uint_gt(one, sizeof(struct engine_held_item) + 1 + 1);
	ck_assert_uint_lt(one, 200);
	frame.payload = (struct slice){large, sizeof(large)};
	engine_held_add(&held, SLICE("a"), &frame);
	ck_assert_uint_eq(held.bytes, 2 * one - 1 + sizeof(large));
	engine_held_sort(&held); /* both have the same position */
	ck_assert_uint_eq(held.count, 1);
	engine_held_release(&held);
	ck_assert_uint_eq(held.bytes, 0);
	add("a", 1, 1);
	add("a", 2, 2);
	assert_message("a", 1);
	ck_assert_uint_eq(held.bytes, 2 * one); /* the item is valid until the next call */
	assert_message("a", 2);
	ck_assert_uint_eq(held.bytes, one);
	assert_empty();
	add_gap("a", 1, 1, 1);
	ck_assert_uint_gt(held.bytes, 0);
	ck_assert_uint_lt(held.bytes, one);
}
END_TEST

/* Against a table by seq: what was added, and how often. */
#define SEQS 300

struct row {
	bool has_message;
	uint64_t gap; /* the count of a gap; 0: there is none */
};

static void
fill(struct row *rows, uint64_t *seed)
{
	for (uint64_t left = testing_random(seed) % 400; left > 0; left--) {
		uint64_t seq = 1 + testing_random(seed) % (SEQS - 1);

		if (testing_random(seed) % 5 > 0) {
			add(seq % 2 == 0 ? "a" : "b", seq, seq);
			rows[seq].has_message = true;
		} else if (rows[seq].gap == 0) {
			rows[seq].gap = 1 + testing_random(seed) % 10;
			add_gap("c", seq, seq, rows[seq].gap);
		}
	}
}

START_TEST(random_items_are_taken_as_from_a_table)
{
	uint64_t seed = 7;

	for (int round = testing_steps(1000); round > 0; round--) {
		struct row rows[SEQS] = {{false, 0}};
		bool is_cut_short = testing_random(&seed) % 10 == 0;

		fill(rows, &seed);
		engine_held_sort(&held);
		for (uint64_t seq = 1; seq < SEQS; seq++) {
			if (rows[seq].has_message)
				assert_message(seq % 2 == 0 ? "a" : "b", seq);
			if (rows[seq].gap > 0)
				assert_gap("c", seq, seq, rows[seq].gap);
			if (is_cut_short && seq == SEQS / 2)
				break;
		}
		if (is_cut_short)
			engine_held_release(&held);
		assert_empty();
	}
}
END_TEST

int
main(void)
{
	return testing_main("link/engine_held", setup, teardown,
	    (const TTest *[]){messages_are_taken_in_the_order_of_their_positions,
		a_message_that_came_several_times_is_taken_once,
		a_gap_is_taken_behind_a_message_with_its_position,
		messages_may_come_while_others_are_taken, memory_is_counted_until_it_is_free,
		random_items_are_taken_as_from_a_table, NULL});
}
