#include "config.h"

#include "kv/zset.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "kv/memory.h"

/* A sorted set compared with a sorted array, through seeded random operations. */
#define NAMES_MAX 3000

/* Check writes each assertion to a file, which takes longer than everything tested here. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg("%s", #condition);                                            \
	} while (0)

struct model_entry {
	struct slice member;
	double score;
};

static struct {
	struct model_entry entries[NAMES_MAX];
	size_t count;
	char bytes[NAMES_MAX][24];
	struct slice names[NAMES_MAX];
	size_t name_count;
	bool same_scores;
	uint64_t seed;
	struct kv_zset *z;
} m;

static const struct kv_limits limits = {.zset_entries = 128, .zset_value_bytes = 64};

static uint64_t
below(uint64_t n)
{
	return testing_random(&m.seed) % n;
}

/* Names with a common beginning, the empty name, and bytes of all kinds. */
static void
make_names(size_t count)
{
	size_t i, j;

	m.name_count = count;
	for (i = 0; i < count; i++) {
		size_t len = i == 0 ? 0 : 2 + below(20);

		for (j = 0; j + 2 < len; j++)
			m.bytes[i][j] = (char)(below(3) == 0 ? below(256) : 'a');
		if (len > 0) {
			m.bytes[i][len - 2] = (char)(i >> 8);
			m.bytes[i][len - 1] = (char)i;
		}
		m.names[i] = (struct slice){m.bytes[i], len};
	}
}

static double
any_score(void)
{
	static const double scores[] = {-INFINITY, -1e308, -1.5, -0.0, 0, 1, 1, 2.25, INFINITY};

	if (m.same_scores)
		return 7;
	if (below(3) == 0)
		return scores[below(sizeof(scores) / sizeof(scores[0]))];
	return (double)(int64_t)(below(2000)) / 8 - 100;
}

static int
compare(double score, struct slice member, const struct model_entry *e)
{
	if (score != e->score)
		return score < e->score ? -1 : 1;
	return slice_compare(member, e->member);
}

static size_t
model_find(struct slice member)
{
	size_t i;

	for (i = 0; i < m.count; i++) {
		if (slice_eq(m.entries[i].member, member))
			break;
	}
	return i;
}

static void
model_remove(size_t at, size_t count)
{
	memmove(
	    &m.entries[at], &m.entries[at + count], (m.count - at - count) * sizeof(m.entries[0]));
	m.count -= count;
}

static void
model_put(struct slice member, double score)
{
	size_t at = model_find(member);

	if (at < m.count)
		model_remove(at, 1);
	for (at = 0; at < m.count && compare(score, member, &m.entries[at]) > 0; at++)
		continue;
	memmove(&m.entries[at + 1], &m.entries[at], (m.count - at) * sizeof(m.entries[0]));
	m.entries[at] = (struct model_entry){member, score};
	m.count++;
}

static bool
model_is_before(const struct model_entry *e, const struct rank_bound *b)
{
	int order = 0;

	if (b->by != RANK_BY_KEY && e->score != b->score)
		order = e->score < b->score ? -1 : 1;
	if (order == 0 && b->by != RANK_BY_SCORE)
		order = slice_compare(e->member, b->key);
	return order < 0 || (order == 0 && b->after);
}

static void
assert_entry(const struct kv_zset_entry *entry, const struct model_entry *expected)
{
	MUST(slice_eq(entry->member, expected->member));
	MUST(entry->score == expected->score);
}

static void
put_or_remove(bool put)
{
	struct slice name = m.names[below(m.name_count)];
	size_t at = model_find(name);
	double score = any_score();

	if (put) {
		MUST(kv_zset_put(m.z, name, score, &limits) == (at == m.count));
		model_put(name, score);
		return;
	}
	MUST(kv_zset_remove(m.z, name) == (at < m.count));
	if (at < m.count)
		model_remove(at, 1);
}

static void
look_up(void)
{
	struct slice name = m.names[below(m.name_count)];
	size_t at = model_find(name), rank = 0;
	double score = 0, again = 0;

	MUST(kv_zset_rank(m.z, name, &rank, &score) == (at < m.count));
	MUST(kv_zset_score(m.z, name, &again) == (at < m.count));
	if (at < m.count) {
		MUST(rank == at);
		MUST(score == m.entries[at].score && again == score);
	}
}

static void
compare_bound(void)
{
	struct rank_bound bound = {.by = below(2) == 0 ? RANK_BY_SCORE : RANK_BY_BOTH,
	    .score = any_score(),
	    .after = below(2) == 0,
	    .key = m.names[below(m.name_count)]};
	size_t i;

	if (m.same_scores)
		bound.by = RANK_BY_KEY;
	for (i = 0; i < m.count && model_is_before(&m.entries[i], &bound); i++)
		continue;
	MUST(kv_zset_count_before(m.z, &bound) == i);
}

/* Some steps forwards and some more back, from a random place. */
static void
walk(void)
{
	size_t at = below(m.count + 1), steps;
	struct kv_zset_cursor c;
	struct kv_zset_entry entry;

	kv_zset_seek(m.z, at, &c);
	for (steps = below(40); steps > 0; steps--) {
		bool more = kv_zset_next(&c, &entry);

		MUST(more == (at < m.count));
		if (more)
			assert_entry(&entry, &m.entries[at++]);
	}
	for (steps = below(80); steps > 0; steps--) {
		bool more = kv_zset_prev(&c, &entry);

		MUST(more == (at > 0));
		if (more)
			assert_entry(&entry, &m.entries[--at]);
	}
}

static void
remove_ranks(void)
{
	size_t from = below(m.count + 1), to = from + below(below(50) == 0 ? 400 : 4);

	if (to > m.count)
		to = m.count;
	kv_zset_remove_ranks(m.z, from, to);
	model_remove(from, to - from);
}

static void
assert_is_model(const struct kv_zset *z)
{
	struct kv_zset_cursor c;
	struct kv_zset_entry entry;
	size_t i;

	MUST(kv_zset_is_sound(z));
	MUST(kv_zset_count(z) == m.count);
	kv_zset_seek(z, 0, &c);
	for (i = 0; i < m.count; i++) {
		MUST(kv_zset_next(&c, &entry));
		assert_entry(&entry, &m.entries[i]);
	}
	MUST(!kv_zset_next(&c, &entry));
}

static void
count_entry(const struct kv_zset_entry *entry, void *arg)
{
	size_t at = model_find(entry->member), *count = arg;

	MUST(at < m.count && entry->score == m.entries[at].score);
	++*count;
}

/* The copy replaces the original, so that later operations change it. */
static void
copy_and_scan(void)
{
	struct kv_zset *copy = kv_zset_copy(m.z);
	uint64_t cursor = 0;
	size_t seen = 0, budget;

	do
		cursor = kv_zset_scan(m.z, cursor, count_entry, &seen);
	while (cursor != 0);
	MUST(seen >= m.count);
	do
		budget = 1 + below(30);
	while (!kv_zset_free_some(m.z, &budget));
	m.z = copy;
	assert_is_model(m.z);
}

static void
run(size_t names, bool same_scores, int steps)
{
	bool growing = true;
	int i;

	make_names(names);
	m.same_scores = same_scores;
	for (i = 0; i < testing_steps(steps); i++) {
		uint64_t choice = below(100);

		if (below(names * 2) == 0)
			growing = !growing;
		if (choice < 55)
			put_or_remove(growing ? choice < 45 : choice < 10);
		else if (choice < 68)
			look_up();
		else if (choice < 84)
			compare_bound();
		else if (choice < 97)
			walk();
		else if (choice < 99)
			remove_ranks();
		if (i % 5000 == 0)
			copy_and_scan();
		else if (i % 500 == 0)
			assert_is_model(m.z);
	}
	assert_is_model(m.z);
}

static void
setup(void)
{
	memset(&m, 0, sizeof(m));
	m.seed = 20240607;
	m.z = kv_zset_new();
}

static void
teardown(void)
{
	kv_zset_free(m.z);
	ck_assert_uint_eq(kv_used_bytes(), 0);
}

START_TEST(packed_sets_do_what_the_model_does)
{
	run(100, false, 60000);
	ck_assert(kv_zset_is_packed(m.z));
}
END_TEST

START_TEST(sets_that_outgrow_their_packed_encoding_do_what_the_model_does)
{
	run(300, false, 60000);
	ck_assert(!kv_zset_is_packed(m.z));
}
END_TEST

START_TEST(large_sets_do_what_the_model_does)
{
	run(NAMES_MAX, false, 80000);
}
END_TEST

START_TEST(sets_ordered_by_bytes_alone_do_what_the_model_does)
{
	run(1000, true, 60000);
}
END_TEST

int
main(void)
{
	return testing_main("kv/zset_model", setup, teardown,
	    (const TTest *[]){packed_sets_do_what_the_model_does,
		sets_that_outgrow_their_packed_encoding_do_what_the_model_does,
		large_sets_do_what_the_model_does,
		sets_ordered_by_bytes_alone_do_what_the_model_does, NULL});
}
