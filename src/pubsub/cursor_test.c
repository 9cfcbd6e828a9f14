#include "config.h"

#include "pubsub/cursor.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/subscriber.h"

#define RINGS 20

static struct ring_pool pool;
static struct ring *rings[RINGS];
static struct subscription subs[RINGS];
static struct cursor *cursor;
static uint64_t last_seq;

static void
setup(void)
{
	ring_pool_init(&pool);
	for (int i = 0; i < RINGS; i++)
		rings[i] = ring_new(&pool, &pool);
	memset(subs, 0, sizeof(subs));
	cursor = cursor_new(NULL);
	last_seq = 0;
}

static void
teardown(void)
{
	while (cursor->count > 0)
		cursor_remove(cursor, cursor->entries[0].subscription);
	cursor_free(cursor);
	for (int i = 0; i < RINGS; i++) {
		size_t all = SIZE_MAX;

		ck_assert(ring_free(rings[i], &all));
	}
}

/* Appends a message to ring i, which keeps `most`. */
static void
append(int i, const char *payload, uint64_t most)
{
	last_seq++;
	ring_append(rings[i], last_seq, last_seq, slice_of(payload), most, UINT64_MAX);
}

static const char *
plan(uint32_t messages, size_t bytes, bool *is_last)
{
	static struct ring_message kept[CURSOR_PORTION_MESSAGES];
	static uint32_t entries[CURSOR_PORTION_MESSAGES];
	static char text[2048];
	const struct ring *theirs[RINGS];
	struct cursor_portion portion = {.messages = kept, .entries = entries};
	size_t len = 0;

	for (uint32_t i = 0; i < cursor->count; i++)
		theirs[i] = rings[cursor->entries[i].subscription - subs];
	cursor_plan(cursor, theirs, messages, bytes, &portion);
	text[0] = '\0';
	for (uint32_t i = 0; i < portion.count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s ",
		    (int)kept[i].payload.len, kept[i].payload.ptr);
	cursor_advance(cursor, &portion);
	*is_last = portion.is_last;
	return text;
}

START_TEST(channels_are_merged_in_the_order_of_their_messages)
{
	bool is_last;

	append(0, "a1", 10);
	append(1, "b2", 10);
	append(0, "a3", 10);
	append(2, "c4", 10);
	append(1, "b5", 10);
	cursor_add(cursor, &subs[0], rings[0], 0);
	cursor_add(cursor, &subs[1], rings[1], 2);
	cursor_add(cursor, &subs[2], rings[2], 0);
	ck_assert_uint_eq(cursor->queued_seq, 0);
	ck_assert_str_eq(plan(2, SIZE_MAX, &is_last), "a1 a3 ");
	ck_assert(!is_last);
	ck_assert_uint_eq(cursor->queued_seq, 3);
	append(0, "a6", 10);
	ck_assert_str_eq(plan(10, SIZE_MAX, &is_last), "c4 b5 a6 ");
	ck_assert(is_last);
	ck_assert_str_eq(plan(10, SIZE_MAX, &is_last), "");
	ck_assert(is_last);
}
END_TEST

START_TEST(a_portion_is_bounded_in_messages_and_bytes_but_has_at_least_one)
{
	bool is_last;

	append(0, "four", 10);
	append(0, "five5", 10);
	append(0, "sixsix", 10);
	cursor_add(cursor, &subs[0], rings[0], 0);
	ck_assert_str_eq(plan(1, 1, &is_last), "four ");
	ck_assert(!is_last);
	ck_assert_str_eq(plan(5, 10, &is_last), "five5 ");
	ck_assert_str_eq(plan(1, 100, &is_last), "sixsix ");
	ck_assert(is_last);
}
END_TEST

START_TEST(what_left_the_ring_unread_is_counted)
{
	bool is_last;

	for (int i = 0; i < 5; i++)
		append(0, "x", 10);
	cursor_add(cursor, &subs[0], rings[0], 1);
	ck_assert_str_eq(plan(1, 100, &is_last), "x ");
	ck_assert_uint_eq(cursor_overtaken(&cursor->entries[0], rings[0]), 0);
	ring_trim(rings[0], 3, UINT64_MAX); /* what it has read */
	ck_assert_uint_eq(cursor_overtaken(&cursor->entries[0], rings[0]), 0);
	for (int i = 0; i < 7; i++)
		append(0, "y", 4);
	/* 12 messages, of which it has read the first 2 and the ring has the last 4. */
	ck_assert_uint_eq(cursor_overtaken(&cursor->entries[0], rings[0]), 6);
	cursor_skip(&cursor->entries[0], rings[0]);
	ck_assert_uint_eq(cursor_overtaken(&cursor->entries[0], rings[0]), 0);
	ck_assert_str_eq(plan(10, 100, &is_last), "y y y y ");
}
END_TEST

START_TEST(a_message_that_is_too_long_to_be_kept_is_missed_with_all_before_it)
{
	for (int i = 0; i < 3; i++)
		append(0, "x", 10);
	cursor_add(cursor, &subs[0], rings[0], 1);
	ring_trim(rings[0], 0, 0);
	ring_skip(rings[0], ++last_seq, 1);
	ck_assert_uint_eq(cursor_overtaken(&cursor->entries[0], rings[0]), 3);
	cursor_skip(&cursor->entries[0], rings[0]);
	ck_assert_uint_eq(cursor->entries[0].after_seq, 4);
}
END_TEST

START_TEST(a_channel_without_ring_has_nothing_yet)
{
	const struct ring *none[1] = {NULL};
	struct ring_message message;
	uint32_t entry;
	struct cursor_portion portion = {.messages = &message, .entries = &entry};

	cursor_add(cursor, &subs[0], NULL, 77);
	cursor_plan(cursor, none, 1, 100, &portion);
	ck_assert_uint_eq(portion.count, 0);
	ck_assert(portion.is_last);
}
END_TEST

START_TEST(subscriptions_know_their_entry_while_others_are_removed)
{
	for (int i = 0; i < RINGS; i++)
		cursor_add(cursor, &subs[i], rings[i], (uint64_t)i);
	for (int i = 0; i < RINGS; i += 2) {
		cursor_remove(cursor, &subs[i]);
		ck_assert_uint_eq(subs[i].entry, 0);
	}
	ck_assert_uint_eq(cursor->count, RINGS / 2);
	for (int i = 1; i < RINGS; i += 2) {
		ck_assert_ptr_eq(cursor->entries[subs[i].entry - 1].subscription, &subs[i]);
		ck_assert_uint_eq(cursor->entries[subs[i].entry - 1].after_seq, (uint64_t)i);
	}
}
END_TEST

START_TEST(many_channels_are_merged_too)
{
	bool is_last;
	char name[8];

	for (int i = RINGS; i-- > 0;) {
		snprintf(name, sizeof(name), "m%d", i);
		append(i, name, 10);
		cursor_add(cursor, &subs[i], rings[i], 0);
	}
	ck_assert_str_eq(plan(100, SIZE_MAX, &is_last),
	    "m19 m18 m17 m16 m15 m14 m13 m12 m11 m10 m9 m8 m7 m6 m5 m4 m3 m2 m1 m0 ");
	ck_assert(is_last);
}
END_TEST

/* The whole table: the state after each event. */
START_TEST(each_event_leads_to_the_state_of_the_table)
{
	static const struct {
		enum cursor_state state;
		enum cursor_event event;
		enum cursor_state after;
	} moves[] = {
	    {CURSOR_NONE, CURSOR_EVENT_ADDED, CURSOR_HELD},
	    {CURSOR_NONE, CURSOR_EVENT_BEHIND, CURSOR_DUE},
	    {CURSOR_HELD, CURSOR_EVENT_BEHIND, CURSOR_HELD},
	    {CURSOR_DUE, CURSOR_EVENT_BEHIND, CURSOR_DUE},
	    {CURSOR_WAITING, CURSOR_EVENT_BEHIND, CURSOR_WAITING},
	    {CURSOR_NONE, CURSOR_EVENT_STARTED, CURSOR_NONE},
	    {CURSOR_NONE, CURSOR_EVENT_FULL, CURSOR_NONE},
	    {CURSOR_NONE, CURSOR_EVENT_LOW, CURSOR_NONE},
	    {CURSOR_NONE, CURSOR_EVENT_ENDED, CURSOR_NONE},
	    {CURSOR_HELD, CURSOR_EVENT_ADDED, CURSOR_HELD},
	    {CURSOR_HELD, CURSOR_EVENT_STARTED, CURSOR_DUE},
	    {CURSOR_HELD, CURSOR_EVENT_FULL, CURSOR_HELD},
	    {CURSOR_HELD, CURSOR_EVENT_LOW, CURSOR_HELD},
	    {CURSOR_HELD, CURSOR_EVENT_ENDED, CURSOR_NONE},
	    {CURSOR_DUE, CURSOR_EVENT_ADDED, CURSOR_HELD},
	    {CURSOR_DUE, CURSOR_EVENT_STARTED, CURSOR_DUE},
	    {CURSOR_DUE, CURSOR_EVENT_FULL, CURSOR_WAITING},
	    {CURSOR_DUE, CURSOR_EVENT_LOW, CURSOR_DUE},
	    {CURSOR_DUE, CURSOR_EVENT_ENDED, CURSOR_NONE},
	    {CURSOR_WAITING, CURSOR_EVENT_ADDED, CURSOR_HELD},
	    {CURSOR_WAITING, CURSOR_EVENT_STARTED, CURSOR_WAITING},
	    {CURSOR_WAITING, CURSOR_EVENT_FULL, CURSOR_WAITING},
	    {CURSOR_WAITING, CURSOR_EVENT_LOW, CURSOR_DUE},
	    {CURSOR_WAITING, CURSOR_EVENT_ENDED, CURSOR_NONE},
	};

	ck_assert_uint_eq(sizeof(moves) / sizeof(*moves), CURSOR_STATES * CURSOR_EVENTS);
	for (size_t i = 0; i < sizeof(moves) / sizeof(*moves); i++)
		ck_assert_int_eq(
		    cursor_state_after(moves[i].state, moves[i].event), moves[i].after);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/cursor", setup, teardown,
	    (const TTest *[]){channels_are_merged_in_the_order_of_their_messages,
		a_portion_is_bounded_in_messages_and_bytes_but_has_at_least_one,
		what_left_the_ring_unread_is_counted,
		a_message_that_is_too_long_to_be_kept_is_missed_with_all_before_it,
		a_channel_without_ring_has_nothing_yet,
		subscriptions_know_their_entry_while_others_are_removed,
		many_channels_are_merged_too, each_event_leads_to_the_state_of_the_table, NULL});
}
