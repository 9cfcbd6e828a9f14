#include "config.h"

#include "pubsub/cursor_portion.h"

#include <check.h>
#include <stdio.h>
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
static struct cursor_portion portion;

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
	cursor_portion_init(&portion);
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
	cursor_portion_release(&portion);
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

/* A new reader of ring i; it is a pattern's if is_pattern. */
static struct cursor_reader *
begin(int i, bool is_pattern, uint64_t after_seq)
{
	subs[i].kind = is_pattern ? HUB_PATTERN : HUB_CHANNEL;
	return cursor_add_reader(cursor, &subs[i], after_seq);
}

/* The messages of the next portion, which is not committed yet: payload and number of its
 * subscription. */
static const char *
plan(uint32_t messages, size_t bytes, bool dedup)
{
	static char text[2048];
	struct cursor_entry *entry;
	size_t len = 0;

	cursor_portion_begin(&portion, cursor, messages, bytes, dedup);
	do {
		while ((entry = cursor_portion_wants(&portion)) != NULL) {
			int i = 0;

			while (channels[i] != entry->of->topic)
				i++;
			if (ring_overtook(rings[i], entry->after_seq))
				cursor_skip(entry, rings[i]);
			cursor_portion_read(&portion, entry, rings[i]);
		}
	} while (cursor_portion_take(&portion));
	text[0] = '\0';
	for (uint32_t i = 0; i < portion.count; i++) {
		const struct cursor_message *m = &portion.messages[i];

		len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s:%d ",
		    (int)m->kept.payload.len, m->kept.payload.ptr,
		    (int)(m->reader->subscription - subs));
	}
	return text;
}

/* The next portion of at most `messages`. */
static const char *
take(uint32_t messages)
{
	const char *text = plan(messages, SIZE_MAX, false);

	cursor_portion_commit(&portion, topics);
	return text;
}

START_TEST(channels_are_merged_in_the_order_of_their_messages)
{
	append(0, "a1", 10);
	append(1, "b2", 10);
	append(0, "a3", 10);
	append(2, "c4", 10);
	append(1, "b5", 10);
	add(begin(0, false, 0), 0, 0);
	add(begin(1, false, 2), 1, 2);
	add(begin(2, false, 0), 2, 0);
	ck_assert_uint_eq(cursor->queued_seq, 0);
	ck_assert_str_eq(take(2), "a1:0 a3:0 ");
	ck_assert(!portion.is_last);
	ck_assert_uint_eq(cursor->queued_seq, 3);
	ck_assert_ptr_null(LIST_FIRST(&subs[0].reader->entries)); /* it has read all of it */
	append(0, "a6", 10);
	add(subs[0].reader, 0, 5);
	ck_assert_str_eq(take(10), "c4:2 b5:1 a6:0 ");
	ck_assert(portion.is_last);
	ck_assert_uint_eq(cursor->queue.count, 0);
	ck_assert_str_eq(take(10), "");
	ck_assert(portion.is_last);
}
END_TEST

START_TEST(a_portion_is_bounded_in_messages_and_bytes_but_has_at_least_one)
{
	append(0, "four", 10);
	append(0, "five5", 10);
	append(0, "sixsix", 10);
	add(begin(0, false, 0), 0, 0);
	ck_assert_str_eq(plan(1, 1, false), "four:0 ");
	cursor_portion_commit(&portion, topics);
	ck_assert(!portion.is_last);
	ck_assert_str_eq(plan(5, 10, false), "five5:0 ");
	cursor_portion_commit(&portion, topics);
	ck_assert_str_eq(plan(1, 100, false), "sixsix:0 ");
	cursor_portion_commit(&portion, topics);
	ck_assert(portion.is_last);
}
END_TEST

START_TEST(a_portion_that_is_cancelled_comes_again)
{
	for (int i = 0; i < 4; i++) {
		append(i % 2, "x", 10);
		append(2, "y", 10);
	}
	for (int i = 0; i < 3; i++)
		add(begin(i, false, 0), i, 0);
	ck_assert_str_eq(plan(3, SIZE_MAX, false), "x:0 y:2 x:1 ");
	cursor_portion_cancel(&portion);
	ck_assert_str_eq(plan(5, SIZE_MAX, false), "x:0 y:2 x:1 y:2 x:0 ");
	cursor_portion_commit(&portion, topics);
	ck_assert_str_eq(take(10), "y:2 x:1 y:2 ");
	ck_assert(portion.is_last);
}
END_TEST

START_TEST(many_channels_are_merged_too)
{
	char name[8];

	for (int i = RINGS; i-- > 0;) {
		snprintf(name, sizeof(name), "m%d", i);
		append(i, name, 10);
		add(begin(i, false, 0), i, 0);
	}
	ck_assert_str_eq(take(100),
	    "m19:19 m18:18 m17:17 m16:16 m15:15 m14:14 m13:13 m12:12 m11:11 m10:10 m9:9 m8:8 m7:7 "
	    "m6:6 m5:5 m4:4 m3:3 m2:2 m1:1 m0:0 ");
	ck_assert(portion.is_last);
}
END_TEST

START_TEST(a_pattern_reads_many_channels)
{
	struct cursor_reader *reader = begin(0, true, 1);

	append(0, "a1", 10);
	append(1, "b2", 10);
	append(2, "c3", 10);
	append(1, "b4", 10);
	add(reader, 1, 1);
	add(reader, 2, 1);
	ck_assert_str_eq(take(1), "b2:0 ");
	ck_assert_str_eq(take(1), "c3:0 ");
	ck_assert_uint_eq(cursor_base(reader), 3);
	ck_assert_ptr_eq(LIST_FIRST(&reader->entries)->of->topic, channels[1]);
	ck_assert_str_eq(take(1), "b4:0 ");
	ck_assert(portion.is_last);
}
END_TEST

START_TEST(of_one_message_the_channels_own_comes_first_and_then_the_first_patterns)
{
	append(0, "a", 10);
	append(0, "b", 10);
	for (int i = 3; i-- > 0;)
		add(begin(i, i > 0, 0), 0, 0);
	ck_assert_str_eq(take(4), "a:0 a:2 a:1 b:0 ");
	ck_assert_str_eq(take(4), "b:2 b:1 ");
}
END_TEST

START_TEST(who_wants_one_copy_gets_the_first)
{
	append(0, "a", 10);
	append(1, "other", 10);
	append(0, "b", 10);
	add(begin(2, true, 0), 0, 0);
	add(begin(1, true, 0), 0, 0);
	add(subs[1].reader, 1, 0);
	add(begin(0, false, 1), 0, 1);
	ck_assert_str_eq(plan(1, SIZE_MAX, true), "a:2 ");
	cursor_portion_commit(&portion, topics);
	ck_assert_str_eq(plan(2, SIZE_MAX, true), "other:1 b:0 ");
	cursor_portion_commit(&portion, topics);
	ck_assert(portion.is_last);
	ck_assert_uint_eq(cursor->queue.count, 0);
}
END_TEST

START_TEST(an_entry_stays_until_the_place_of_its_channels_newest_message)
{
	struct cursor_reader *reader = begin(0, true, 0);

	for (int i = 0; i < 6; i++)
		append(i % 2, i % 2 == 0 ? "x" : "y", 10);
	add(reader, 0, 0);
	add(reader, 1, 0);
	ring_trim(rings[0], 0, 0); /* nothing is left of it; the newest one was the fifth */
	ck_assert_str_eq(take(1), "y:0 ");
	ck_assert_uint_eq(cursor_base(reader), 3);
	ck_assert_ptr_nonnull(cursor_topic_of(topics, channels[0]));
	ck_assert_str_eq(take(1), "y:0 ");
	ck_assert_uint_eq(cursor_base(reader), 5);
	ck_assert_ptr_null(cursor_topic_of(topics, channels[0]));
	ck_assert(!portion.is_last);
}
END_TEST

START_TEST(a_portion_looks_at_few_of_many_entries)
{
	struct cursor_reader *reader = begin(0, true, 0);

	for (int i = 0; i < RINGS; i++)
		append(i, "x", 10);
	for (int i = 0; i < RINGS; i++)
		add(reader, i, (uint64_t)i);
	ck_assert_str_eq(plan(2, SIZE_MAX, false), "x:0 x:0 ");
	ck_assert_uint_le(portion.read_count, 3);
	cursor_portion_commit(&portion, topics);
	ck_assert_uint_eq(cursor->queue.count, RINGS - 2);
}
END_TEST

/* So many entries have nothing to read that one portion does not look at all of them. */
START_TEST(entries_with_nothing_to_read_take_several_portions)
{
	static struct subscription many[3 * CURSOR_PORTION_ENTRIES];
	uint32_t portions = 0;

	append(0, "x", 10);
	append(1, "x", 10);
	append(2, "y", 10);
	ring_trim(rings[0], 0, 0);
	ring_trim(rings[1], 0, 0);
	for (int i = 0; i < 3 * CURSOR_PORTION_ENTRIES; i++) {
		many[i] = (struct subscription){.kind = HUB_PATTERN};
		add(cursor_add_reader(cursor, &many[i], 0), i % 2, (uint64_t)i % 2);
	}
	add(begin(0, false, 0), 2, 0);
	do {
		portions++;
		ck_assert_str_eq(take(1), portions < 3 ? "" : "y:0 ");
	} while (!portion.is_last);
	ck_assert_uint_eq(portions, 3);
	ck_assert_uint_eq(cursor->queue.count, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/cursor_portion", setup, teardown,
	    (const TTest *[]){channels_are_merged_in_the_order_of_their_messages,
		a_portion_is_bounded_in_messages_and_bytes_but_has_at_least_one,
		a_portion_that_is_cancelled_comes_again, many_channels_are_merged_too,
		a_pattern_reads_many_channels,
		of_one_message_the_channels_own_comes_first_and_then_the_first_patterns,
		who_wants_one_copy_gets_the_first,
		an_entry_stays_until_the_place_of_its_channels_newest_message,
		a_portion_looks_at_few_of_many_entries,
		entries_with_nothing_to_read_take_several_portions, NULL});
}
