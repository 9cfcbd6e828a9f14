#include "config.h"

#include "pubsub/ring.h"

#include <check.h>

#include "base/testing.h"

/* Three rings of one pool, each compared with a plain list of the messages that it was given:
 * messages of all lengths, and short ones in rings that stay short. */

#define RINGS 3
#define LIST_MAX 20000
#define STEPS 300000

struct model {
	uint64_t seq[LIST_MAX];
	uint64_t us[LIST_MAX];
	uint32_t len[LIST_MAX];
	size_t first, end; /* the messages that are kept: from first to below end */
	uint64_t payload_bytes;
	uint64_t trimmed_seq, newest_seq;
	struct ring *ring;
};

static struct ring_pool pool;
static struct model models[RINGS];
static uint64_t seed, seq, now_us;
static bool is_short;
static char bytes[20000 + 256];

static uint64_t
below(uint64_t n)
{
	return testing_random(&seed) % n;
}

static size_t
count_of(const struct model *m)
{
	return m->end - m->first;
}

static void
model_drop(struct model *m, size_t n)
{
	ck_assert_uint_le(n, count_of(m));
	for (; n > 0; n--) {
		m->payload_bytes -= m->len[m->first];
		m->trimmed_seq = m->seq[m->first++];
	}
}

static void
model_trim(struct model *m, uint64_t most, uint64_t most_bytes)
{
	while (count_of(m) > most || m->payload_bytes > most_bytes)
		model_drop(m, 1);
}

/* The payload of a message: a part of `bytes` that depends on its seq. */
static struct slice
payload_of(uint64_t of, uint32_t len)
{
	return (struct slice){bytes + of % 256, len};
}

static void
ck_message(const struct model *m, size_t i, const struct ring_message *message)
{
	ck_assert_uint_eq(message->seq, m->seq[i]);
	ck_assert_uint_eq(message->appended_us, m->us[i]);
	ck_assert(slice_eq(message->payload, payload_of(m->seq[i], m->len[i])));
}

static void
new_rings(void)
{
	ring_pool_init(&pool);
	for (int i = 0; i < RINGS; i++) {
		models[i].first = models[i].end = 0;
		models[i].payload_bytes = models[i].trimmed_seq = models[i].newest_seq = 0;
		models[i].ring = ring_new(&pool, &models[i]);
	}
}

static void
free_rings(void)
{
	size_t budget = SIZE_MAX;

	for (int i = 0; i < RINGS; i++)
		ck_assert(ring_free(models[i].ring, &budget));
	ck_assert_uint_eq(pool.bytes, 0);
	ck_assert_uint_eq(pool.messages, 0);
	ck_assert_uint_eq(pool.rings, 0);
	ck_assert_ptr_null(ring_pool_oldest(&pool));
}

static void
setup(void)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 256);
	seq = now_us = 0;
	new_rings();
}

static uint32_t
random_len(void)
{
	if (is_short)
		return (uint32_t)(below(20) == 0 ? below(2000) : below(150));
	switch (below(8)) {
	case 0:
		return 0;
	case 1:
		return (uint32_t)below(20000);
	case 2:
		return (uint32_t)below(3000);
	default:
		return (uint32_t)below(150);
	}
}

static void
append(struct model *m)
{
	uint32_t len = random_len();
	uint64_t most = below(4) == 0 ? 1 + below(5) : 1 + below(3000);
	uint64_t most_bytes = len + (below(4) == 0 ? below(1000) : below(1000000));

	if (is_short) { /* each ring has a length of its own, most of the time */
		if (below(50) != 0)
			most = 3 + 30 * (uint64_t)(m - models);
		most_bytes = 1000000;
	}
	if (m->end == LIST_MAX) { /* the list is full: begin a new ring */
		free_rings();
		new_rings();
	}
	seq += 1 + (below(1000) == 0 ? 1ULL << 32 : below(5));
	now_us += below(100);
	ring_append(m->ring, seq, now_us, payload_of(seq, len), most, most_bytes);
	model_trim(m, most - 1, most_bytes - len);
	m->seq[m->end] = m->newest_seq = seq;
	m->us[m->end] = now_us;
	m->len[m->end++] = len;
	m->payload_bytes += len;
}

/* Moves the chunks that go to another ring, which is freed. */
static void
cut(struct model *m, uint32_t chunks)
{
	size_t budget = SIZE_MAX;

	if (chunks >= 2)
		ck_assert(ring_free(ring_cut(m->ring, chunks), &budget));
}

static void
drop(struct model *m)
{
	uint64_t before = m->ring->count;

	switch (below(4)) {
	case 0:
		if (before > 0) {
			ring_drop_oldest(m->ring);
			model_drop(m, 1);
		}
		break;
	case 1:
		if (before > 0 && below(10) == 0) {
			ring_drop_oldest_chunk(m->ring);
			model_drop(m, before - m->ring->count);
			ck_assert_uint_gt(before, m->ring->count);
		}
		break;
	case 2:
		if (below(20) == 0) {
			uint64_t most = below(300), most_bytes = below(100000);

			if (below(2) == 0)
				cut(m, ring_chunks_to_trim(m->ring, most, most_bytes));
			ring_trim(m->ring, most, most_bytes);
			model_trim(m, most, most_bytes);
		}
		break;
	default:
		seq++;
		if (before == 0) {
			ring_skip(m->ring, seq, now_us);
			m->trimmed_seq = m->newest_seq = seq;
		}
		break;
	}
}

static void
expire(struct model *m)
{
	uint64_t cutoff_us = now_us - (now_us < 20000 ? now_us : below(20000));
	size_t budget = below(40), due = 0;

	while (m->first + due < m->end && m->us[m->first + due] <= cutoff_us)
		due++;
	if (below(4) == 0) {
		cut(m, ring_chunks_to_expire(m->ring, cutoff_us));
		ck_assert_uint_le(count_of(m) - m->ring->count, due);
		due -= count_of(m) - m->ring->count;
		model_drop(m, count_of(m) - m->ring->count);
	}
	if (ring_expire(m->ring, cutoff_us, &budget)) {
		model_drop(m, due);
	} else {
		ck_assert_uint_eq(budget, 0);
		ck_assert_uint_lt(count_of(m) - m->ring->count, due);
		model_drop(m, count_of(m) - m->ring->count);
	}
}

static void
ck_state(const struct model *m)
{
	struct ring_message oldest;
	size_t messages = 0;

	ck_assert_uint_eq(m->ring->count, count_of(m));
	ck_assert_uint_eq(m->ring->payload_bytes, m->payload_bytes);
	ck_assert_uint_eq(m->ring->trimmed_seq, m->trimmed_seq);
	ck_assert_uint_eq(m->ring->newest_seq, m->newest_seq);
	ck_assert_int_eq(ring_oldest(m->ring, &oldest), count_of(m) > 0);
	if (count_of(m) > 0)
		ck_message(m, m->first, &oldest);
	for (int i = 0; i < RINGS; i++)
		messages += models[i].ring->count;
	ck_assert_uint_eq(pool.messages, messages);
}

/* A seq near the messages of the ring. */
static uint64_t
random_seq(const struct model *m)
{
	if (count_of(m) == 0 || below(20) == 0)
		return below(seq + 2);
	return m->seq[m->first + below(count_of(m))] + below(3) - 1;
}

static void
read_forward(const struct model *m)
{
	uint64_t after = random_seq(m), count = 0;
	struct ring_iterator it;
	struct ring_message message;
	size_t i = m->first;

	while (i < m->end && m->seq[i] <= after)
		i++;
	ck_assert_uint_eq(ring_count_after(m->ring, after), m->end - i);
	ring_after(m->ring, after, &it);
	while (count++ < 300 && ring_next(&it, &message))
		ck_message(m, i++, &message);
	ck_assert(count == 301 || i == m->end);
}

static void
read_backward(const struct model *m)
{
	uint64_t upto = random_seq(m), count = 0;
	struct ring_reverse_iterator it;
	struct ring_message message;
	size_t i = m->end;

	while (i > m->first && m->seq[i - 1] > upto)
		i--;
	ring_before(m->ring, upto, &it);
	while (count++ < 300 && ring_previous(&it, &message))
		ck_message(m, --i, &message);
	ck_assert(count == 301 || i == m->first);
}

static void
read_last(const struct model *m)
{
	uint64_t n = below(count_of(m) + 3);
	uint64_t expected = n > count_of(m) ? count_of(m) : n;

	ck_assert_uint_eq(ring_count_after(m->ring, ring_seq_before_last(m->ring, n)), expected);
}

/* The merge must have the message with the lowest seq of all lists each time. */
static void
read_merged(void)
{
	struct ring_merge_entry entries[RINGS];
	struct ring_merge merge;
	struct ring_message message;
	size_t at[RINGS], tag;

	ring_merge_init(&merge, entries);
	for (size_t r = 0; r < RINGS; r++) {
		uint64_t after = random_seq(&models[r]);

		for (at[r] = models[r].first;
		     at[r] < models[r].end && models[r].seq[at[r]] <= after; at[r]++)
			;
		ring_merge_add(&merge, models[r].ring, after, r);
	}
	for (int count = 0; count < 200; count++) {
		size_t least = RINGS;

		for (size_t r = 0; r < RINGS; r++)
			if (at[r] < models[r].end &&
			    (least == RINGS || models[r].seq[at[r]] < models[least].seq[at[least]]))
				least = r;
		ck_assert_int_eq(ring_merge_next(&merge, &message, &tag), least < RINGS);
		if (least == RINGS)
			return;
		ck_assert_uint_eq(tag, least);
		ck_message(&models[least], at[least]++, &message);
	}
}

static void
compare_over_random_operations(void)
{
	for (int step = 0; step < testing_steps(STEPS); step++) {
		struct model *m = &models[below(RINGS)];
		uint64_t what = below(100);

		if (what < 60)
			append(m);
		else if (what < 75)
			drop(m);
		else if (what < 85)
			expire(m);
		else if (what < 88)
			read_forward(m);
		else if (what < 91)
			read_backward(m);
		else if (what < 94)
			read_last(m);
		else if (what < 95)
			read_merged();
		ck_state(m);
	}
	free_rings();
}

START_TEST(rings_equal_plain_lists_over_random_operations)
{
	seed = 20260101;
	is_short = false;
	compare_over_random_operations();
}
END_TEST

START_TEST(short_rings_equal_plain_lists_over_random_operations)
{
	seed = 20260102;
	is_short = true;
	compare_over_random_operations();
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/ring_model", setup, NULL,
	    (const TTest *[]){rings_equal_plain_lists_over_random_operations,
		short_rings_equal_plain_lists_over_random_operations, NULL});
}
