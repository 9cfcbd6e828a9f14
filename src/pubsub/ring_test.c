#include "config.h"

#include "pubsub/ring.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"

static struct ring_pool pool;
static struct ring *ring;
static char owner;

static void
setup(void)
{
	ring_pool_init(&pool);
	ring = ring_new(&pool, &owner);
}

static void
teardown(void)
{
	size_t budget = SIZE_MAX;

	ck_assert(ring_free(ring, &budget));
}

static void
append(struct ring *to, uint64_t seq, const char *text, uint64_t most)
{
	ring_append(to, seq, seq * 10, slice_of(text), most, 1 << 20);
}

START_TEST(messages_come_back_in_order_with_their_seq_and_time)
{
	struct ring_iterator it;
	struct ring_message m;

	append(ring, 3, "three", 10);
	append(ring, 7, "", 10);
	append(ring, 8, "eight", 10);
	ring_after(ring, 0, &it);
	ck_assert(ring_next(&it, &m) && m.seq == 3 && m.appended_us == 30);
	ck_assert(slice_is(m.payload, "three"));
	ck_assert(ring_next(&it, &m) && m.seq == 7 && m.payload.len == 0);
	ck_assert(ring_next(&it, &m) && m.seq == 8 && slice_is(m.payload, "eight"));
	ck_assert(!ring_next(&it, &m));
	ck_assert(!ring_next(&it, &m));
}
END_TEST

START_TEST(a_reader_is_overtaken_when_a_message_that_it_has_not_read_is_dropped)
{
	append(ring, 5, "a", 2);
	append(ring, 6, "b", 2);
	ck_assert(!ring_overtook(ring, 4));
	append(ring, 9, "c", 2);
	ck_assert(ring_overtook(ring, 4));
	ck_assert(!ring_overtook(ring, 5));
	ring_trim(ring, 0, 0);
	ck_assert(ring_overtook(ring, 8));
	ck_assert(!ring_overtook(ring, 9));
	ring_skip(ring, 20, 300);
	ck_assert(ring_overtook(ring, 19));
	ck_assert(!ring_overtook(ring, 20));
}
END_TEST

/* Memory of a ring besides its payloads, a message. */
static double
overhead_of(uint64_t messages, size_t len)
{
	static char text[8192];
	struct ring_pool its;
	struct ring *large;
	size_t budget = SIZE_MAX;
	double overhead;

	ring_pool_init(&its);
	large = ring_new(&its, &owner);
	/* Three times its size, so that it has been trimmed at any place. */
	for (uint64_t seq = 1; seq <= messages * 3; seq++)
		ring_append(large, seq, seq, (struct slice){text, len}, messages, 1 << 30);
	overhead = (double)(its.bytes - messages * len) / (double)messages;
	ck_assert_uint_eq(large->count, messages);
	ck_assert(ring_free(large, &budget));
	return overhead;
}

START_TEST(a_message_takes_at_most_40_bytes_besides_its_payload)
{
	static const struct {
		uint64_t messages;
		size_t len;
	} rings[] = {{10, 16}, {10, 64}, {20, 64}, {50, 64}, {50, 256}, {100, 16}, {100, 64},
	    {100, 100}, {100, 256}, {1000, 64}, {1000, 256}, {1000, 1000}, {100000, 64},
	    {100000, 256}};

	for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
		ck_assert_double_le(overhead_of(rings[i].messages, rings[i].len), 40);
}
END_TEST

START_TEST(a_ring_of_one_message_takes_one_block_of_its_size)
{
	char text[64] = "";
	size_t most = sizeof(struct ring) + 64 + sizeof(text) + RING_MESSAGE_OVERHEAD;

	for (uint64_t seq = 1; seq < 100; seq++) {
		ring_append(ring, seq, seq, (struct slice){text, sizeof(text)}, 1, 1 << 20);
		ck_assert_uint_le(ring_bytes(ring), most);
		ck_assert_uint_eq(ring_bytes(ring), pool.bytes);
	}
	ck_assert_uint_eq(ring->count, 1);
	/* A small message does not keep the memory of a large one. */
	ring_append(ring, 100, 100, (struct slice){(char[10000]){0}, 10000}, 1, 1 << 20);
	ring_append(ring, 101, 101, (struct slice){text, sizeof(text)}, 1, 1 << 20);
	ck_assert_uint_le(ring_bytes(ring), most);
}
END_TEST

START_TEST(the_pool_names_the_ring_with_the_oldest_chunk)
{
	struct ring *other = ring_new(&pool, &owner);
	size_t budget = SIZE_MAX;

	ck_assert_ptr_null(ring_pool_oldest(&pool));
	append(other, 1, "a", 1);
	append(ring, 2, "b", 10);
	ck_assert_ptr_eq(ring_pool_oldest(&pool), other);
	append(other, 3, "c", 1); /* replaces its only message */
	ck_assert_ptr_eq(ring_pool_oldest(&pool), ring);
	ring_drop_oldest_chunk(ring);
	ck_assert_uint_eq(ring->count, 0);
	ck_assert_uint_eq(ring->trimmed_seq, 2);
	ck_assert_ptr_eq(ring_pool_oldest(&pool), other);
	ck_assert(ring_free(other, &budget));
	ck_assert_ptr_null(ring_pool_oldest(&pool));
}
END_TEST

START_TEST(eviction_takes_the_older_half_of_a_ring_with_one_chunk)
{
	struct ring *other = ring_new(&pool, &owner);
	size_t budget = SIZE_MAX, bytes;

	for (uint64_t seq = 1; seq <= 100; seq++)
		append(ring, seq, "a message of some length", 100);
	append(other, 101, "a", 10);
	bytes = ring_bytes(ring);
	ring_drop_oldest_chunk(ring);
	ck_assert_uint_ge(ring->count, 45);
	ck_assert_uint_le(ring->count, 55);
	ck_assert_uint_eq(ring->trimmed_seq, 100 - ring->count);
	ck_assert_uint_le(ring_bytes(ring), bytes * 2 / 3);
	ck_assert_ptr_eq(ring_pool_oldest(&pool), other); /* each one in turn */
	ck_assert(ring_free(other, &budget));
	while (ring->count > 0)
		ring_drop_oldest_chunk(ring);
	ck_assert_uint_eq(ring->trimmed_seq, 100);
}
END_TEST

START_TEST(a_ring_that_became_short_frees_the_memory_of_a_long_one)
{
	size_t budget = 1000;

	for (uint64_t seq = 1; seq <= 300; seq++)
		append(ring, seq, "a message of some length", 300);
	ck_assert_uint_gt(ring_bytes(ring), 10000);
	ck_assert(ring_expire(ring, 2950, &budget));
	ck_assert_uint_eq(ring->count, 5);
	ck_assert_uint_lt(ring_bytes(ring), 800);
	ck_assert_uint_eq(ring_bytes(ring), pool.bytes);
}
END_TEST

START_TEST(a_large_ring_is_freed_in_slices)
{
	size_t budget = 3, bytes;
	int slices = 1;

	for (uint64_t seq = 1; seq <= 2000; seq++)
		append(ring, seq, "a message of some length, so that there are many chunks", 2000);
	bytes = pool.bytes;
	while (!ring_free(ring, &budget)) {
		ck_assert_uint_eq(budget, 0);
		ck_assert_uint_lt(pool.bytes, bytes);
		ck_assert_uint_eq(pool.messages, 0);
		bytes = pool.bytes;
		budget = 3;
		slices++;
		if (ring_pool_oldest(&pool) == ring && slices == 2)
			ring_drop_oldest_chunk(ring); /* eviction may come first */
	}
	ck_assert_int_gt(slices, 3);
	ck_assert_uint_eq(pool.bytes, 0);
	setup();
}
END_TEST

START_TEST(the_oldest_chunks_are_cut_off_to_be_freed_later)
{
	struct ring_message oldest;
	size_t budget = 3, before;
	struct ring *cut;
	uint32_t chunks;

	for (uint64_t seq = 1; seq <= 5000; seq++)
		append(ring, seq, "a message of some length, so that there are many chunks", 5000);
	before = pool.bytes;
	ck_assert_uint_eq(ring_chunks_to_trim(ring, 5000, 1 << 20), 0);
	ck_assert_uint_eq(ring_chunks_to_expire(ring, 9), 0);
	chunks = ring_chunks_to_expire(ring, 40000);
	ck_assert_uint_gt(chunks, 10);
	cut = ring_cut(ring, chunks);
	ck_assert_uint_gt(pool.bytes, before - before / 10);
	ck_assert_uint_eq(pool.messages, ring->count);
	ck_assert(ring_oldest(ring, &oldest));
	ck_assert_uint_eq(oldest.seq, ring->trimmed_seq + 1);
	ck_assert_uint_eq(ring->count, 5000 - ring->trimmed_seq);
	ck_assert_uint_le(ring->trimmed_seq, 4000);
	ck_assert_uint_gt(ring->trimmed_seq, 3800);
	ck_assert_ptr_eq(ring_pool_oldest(&pool), cut);
	ck_assert(!ring_free(cut, &budget));
	ring_drop_oldest_chunk(cut); /* eviction may come first */
	budget = SIZE_MAX;
	ck_assert(ring_free(cut, &budget));
	ck_assert_uint_eq(pool.bytes, ring_bytes(ring));
	/* All of them: the ring is empty, and goes on. */
	chunks = ring_chunks_to_expire(ring, 50000);
	cut = ring_cut(ring, chunks);
	ck_assert(ring_free(cut, &budget));
	ck_assert_uint_eq(ring->count, 0);
	ck_assert_uint_eq(ring->trimmed_seq, 5000);
	append(ring, 6000, "a", 10);
	ck_assert_uint_eq(ring_count_after(ring, 5000), 1);
}
END_TEST

START_TEST(messages_expire_at_their_time_and_chunks_are_one_step)
{
	size_t budget = 1000;

	for (uint64_t seq = 1; seq <= 5000; seq++)
		append(ring, seq, "sixteen bytes...", 5000);
	ck_assert(ring_expire(ring, 9, &budget));
	ck_assert_uint_eq(ring->count, 5000);
	ck_assert(ring_expire(ring, 10, &budget));
	ck_assert_uint_eq(ring->count, 4999);
	budget = 1000;
	ck_assert(ring_expire(ring, 49990, &budget));
	ck_assert_uint_eq(ring->count, 1);
	ck_assert_uint_gt(budget, 500);
	ck_assert_uint_eq(ring->trimmed_seq, 4999);
	budget = 0;
	ck_assert(!ring_expire(ring, 50000, &budget));
	budget = 1;
	ck_assert(ring_expire(ring, 50000, &budget));
	ck_assert_uint_eq(ring->count, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/ring", setup, teardown,
	    (const TTest *[]){messages_come_back_in_order_with_their_seq_and_time,
		a_reader_is_overtaken_when_a_message_that_it_has_not_read_is_dropped,
		a_message_takes_at_most_40_bytes_besides_its_payload,
		a_ring_of_one_message_takes_one_block_of_its_size,
		the_pool_names_the_ring_with_the_oldest_chunk,
		eviction_takes_the_older_half_of_a_ring_with_one_chunk,
		a_ring_that_became_short_frees_the_memory_of_a_long_one,
		a_large_ring_is_freed_in_slices, the_oldest_chunks_are_cut_off_to_be_freed_later,
		messages_expire_at_their_time_and_chunks_are_one_step, NULL});
}
