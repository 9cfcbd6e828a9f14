#include "config.h"

#include "pubsub/cursor.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash_map.h"
#include "base/testing.h"
#include "pubsub/channel_tree.h"
#include "pubsub/subscriber.h"

#define RINGS 20

static struct ring_pool pool;
static struct hash_map *topics;
static struct topic *channels[RINGS];
static struct ring *rings[RINGS]; /* of channels[i] */
static struct subscription subs[RINGS];
static struct cursor *cursor;
static uint64_t last_seq;

static void
setup(void)
{
	ring_pool_init(&pool);
	topics = hash_map_new();
	for (int i = 0; i < RINGS; i++) {
		channels[i] = xcalloc(1, sizeof(*channels[i]));
		rings[i] = ring_new(&pool, channels[i]);
	}
	memset(subs, 0, sizeof(subs));
	cursor = cursor_new(NULL);
	last_seq = 0;
}

static void
teardown(void)
{
	struct cursor_reader *reader;
	struct cursor_entry *entry;

	while ((reader = TAILQ_FIRST(&cursor->readers)) != NULL) {
		while ((entry = LIST_FIRST(&reader->entries)) != NULL)
			cursor_remove(topics, entry);
		cursor_end_reader(reader);
	}
	cursor_free(cursor);
	ck_assert_uint_eq(hash_map_count(topics), 0);
	hash_map_free(topics);
	for (int i = 0; i < RINGS; i++) {
		size_t all = SIZE_MAX;

		ck_assert(ring_free(rings[i], &all));
		xfree(channels[i]);
	}
}

/* Appends a message to ring i, which keeps `most`. */
static void
append(int i, const char *payload, uint64_t most)
{
	last_seq++;
	ring_append(rings[i], last_seq, last_seq, slice_of(payload), most, UINT64_MAX);
}

/* The reader reads ring i behind that seq. */
static struct cursor_entry *
add(struct cursor_reader *reader, int i, uint64_t after_seq)
{
	cursor_add(topics, reader, channels[i], rings[i], after_seq,
	    rings[i]->appended - (uint32_t)ring_count_after(rings[i], after_seq));
	return LIST_FIRST(&reader->entries);
}

START_TEST(what_left_the_ring_unread_is_counted)
{
	struct cursor_entry *entry;

	for (int i = 0; i < 5; i++)
		append(0, "x", 10);
	entry = add(cursor_add_reader(cursor, &subs[0], 1), 0, 1);
	ck_assert_uint_eq(cursor_overtaken(entry, rings[0]), 0);
	ring_trim(rings[0], 4, UINT64_MAX); /* what it has read */
	ck_assert_uint_eq(cursor_overtaken(entry, rings[0]), 0);
	for (int i = 0; i < 7; i++)
		append(0, "y", 4);
	/* 12 messages, of which it has read the first and the ring has the last 4. */
	ck_assert_uint_eq(cursor_overtaken(entry, rings[0]), 7);
	cursor_skip(entry, rings[0]);
	ck_assert_uint_eq(cursor_overtaken(entry, rings[0]), 0);
	ck_assert_uint_eq(entry->after_seq, 8);
	ck_assert_uint_eq(cursor_skip_all(entry, rings[0]), 4);
	ck_assert_uint_eq(entry->after_seq, 12);
}
END_TEST

START_TEST(a_message_that_is_too_long_to_be_kept_is_missed_with_all_before_it)
{
	struct cursor_entry *entry;

	for (int i = 0; i < 3; i++)
		append(0, "x", 10);
	entry = add(cursor_add_reader(cursor, &subs[0], 1), 0, 1);
	ring_trim(rings[0], 0, 0);
	ring_skip(rings[0], ++last_seq, 1);
	ck_assert_uint_eq(cursor_overtaken(entry, rings[0]), 3);
	cursor_skip(entry, rings[0]);
	ck_assert_uint_eq(entry->after_seq, 4);
}
END_TEST

START_TEST(subscriptions_know_their_reader_while_others_end)
{
	for (int i = 0; i < RINGS; i++) {
		append(i, "x", 10);
		add(cursor_add_reader(cursor, &subs[i], 0), i, 0);
	}
	for (int i = 0; i < RINGS; i += 2) {
		cursor_remove(topics, LIST_FIRST(&subs[i].reader->entries));
		cursor_end_reader(subs[i].reader);
		ck_assert_ptr_null(subs[i].reader);
	}
	ck_assert_uint_eq(cursor->reader_count, RINGS / 2);
	ck_assert_uint_eq(cursor->queue.count, RINGS / 2);
	for (int i = 1; i < RINGS; i += 2) {
		ck_assert_ptr_eq(subs[i].reader->subscription, &subs[i]);
		ck_assert_ptr_eq(LIST_FIRST(&subs[i].reader->entries)->of->topic, channels[i]);
	}
}
END_TEST

START_TEST(a_channel_knows_the_entries_of_all_its_readers)
{
	const struct cursor_entry *entry;
	size_t count = 0;

	append(0, "x", 10);
	append(1, "x", 10);
	ck_assert_ptr_null(cursor_topic_of(topics, channels[0]));
	for (int i = 0; i < 3; i++)
		add(cursor_add_reader(cursor, &subs[i], 0), 0, 0);
	add(subs[0].reader, 1, 0);
	LIST_FOREACH (entry, &cursor_topic_of(topics, channels[0])->entries, of_topic) {
		ck_assert_ptr_eq(entry->reader, subs[2 - count].reader);
		count++;
	}
	ck_assert_uint_eq(count, 3);
	cursor_remove(topics, LIST_FIRST(&cursor_topic_of(topics, channels[1])->entries));
	ck_assert_ptr_null(cursor_topic_of(topics, channels[1]));
	ck_assert_ptr_nonnull(cursor_topic_of(topics, channels[0]));
}
END_TEST

START_TEST(the_base_of_a_reader_rises_with_what_is_done)
{
	struct cursor_reader *reader = cursor_add_reader(cursor, &subs[0], 7), *older;

	ck_assert_uint_eq(cursor_base(reader), 7);
	ck_assert_uint_eq(cursor->queued_seq, 7);
	cursor->done_seq = cursor->queued_seq = 9;
	ck_assert_uint_eq(cursor_base(reader), 9);
	older = cursor_add_reader(cursor, &subs[1], 5);
	ck_assert_uint_eq(cursor_base(older), 5);
	ck_assert_uint_eq(cursor_base(reader), 9);
	ck_assert_uint_eq(cursor->queued_seq, 5);
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
	    (const TTest *[]){what_left_the_ring_unread_is_counted,
		a_message_that_is_too_long_to_be_kept_is_missed_with_all_before_it,
		subscriptions_know_their_reader_while_others_end,
		a_channel_knows_the_entries_of_all_its_readers,
		the_base_of_a_reader_rises_with_what_is_done,
		each_event_leads_to_the_state_of_the_table, NULL});
}
