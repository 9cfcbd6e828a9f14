#include "config.h"

#include "base/hash_map.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buckets.h"
#include "base/testing.h"

static struct hash_map *map;
static char values[1 << 17]; /* their addresses are the stored values */

static void
setup(void)
{
	map = hash_map_new();
}

static void
teardown(void)
{
	hash_map_free(map);
}

/* The key of number n: of varying length, with a NUL in it. */
static struct slice
key_of(size_t n, char text[32])
{
	int len = snprintf(text, 32, "%zu.%.*s", n, (int)(n % 13), "subscriptions");

	text[len / 2] = n % 3 == 0 ? '\0' : text[len / 2];
	return (struct slice){text, (size_t)len};
}

static void *
set(size_t n, void *value)
{
	char text[32];

	return hash_map_set(map, key_of(n, text), value);
}

static void *
get(size_t n)
{
	char text[32];

	return hash_map_get(map, key_of(n, text));
}

static void *
take(size_t n)
{
	char text[32];

	return hash_map_remove(map, key_of(n, text));
}

START_TEST(what_was_set_is_found_replaced_and_removed)
{
	ck_assert_ptr_null(hash_map_get(map, SLICE("a")));
	ck_assert_ptr_null(hash_map_remove(map, SLICE("a")));
	ck_assert_ptr_null(hash_map_set(map, SLICE("a"), &values[1]));
	ck_assert_ptr_eq(hash_map_set(map, SLICE("a"), &values[2]), &values[1]);
	ck_assert_uint_eq(hash_map_count(map), 1);
	ck_assert_ptr_eq(hash_map_get(map, SLICE("a")), &values[2]);
	ck_assert_ptr_eq(hash_map_remove(map, SLICE("a")), &values[2]);
	ck_assert_ptr_null(hash_map_get(map, SLICE("a")));
	ck_assert_uint_eq(hash_map_count(map), 0);
}
END_TEST

START_TEST(keys_are_copied_and_told_apart_by_every_byte)
{
	char key[] = "a\0b";

	hash_map_set(map, (struct slice){key, 3}, &values[1]);
	hash_map_set(map, (struct slice){key, 2}, &values[2]);
	hash_map_set(map, (struct slice){NULL, 0}, &values[3]);
	memset(key, 'x', sizeof(key));
	ck_assert_ptr_eq(hash_map_get(map, SLICE("a\0b")), &values[1]);
	ck_assert_ptr_eq(hash_map_get(map, SLICE("a\0")), &values[2]);
	ck_assert_ptr_eq(hash_map_get(map, SLICE("")), &values[3]);
	ck_assert_ptr_null(hash_map_get(map, SLICE("a")));
	ck_assert_uint_eq(hash_map_count(map), 3);
}
END_TEST

enum { MODEL_KEYS = 3000 };

/* The operations alternate between phases that grow the map and phases that shrink it, through
 * several sizes. */
START_TEST(random_operations_agree_with_an_array)
{
	static char *model[MODEL_KEYS];
	size_t count = 0, ops = (size_t)testing_steps(200000);
	uint64_t seed = 20261121;
	size_t i;

	memset(model, 0, sizeof(model));
	for (i = 0; i < ops; i++) {
		uint64_t random = testing_random(&seed);
		size_t n = (random >> 8) % MODEL_KEYS;
		bool is_growing = i / (ops / 10) % 2 == 0;
		unsigned int dice = random % 8;
		char *value = &values[(random >> 32) % sizeof(values)];

		if (dice < 2) {
			ck_assert_ptr_eq(get(n), model[n]);
		} else if (dice == 2 || (dice > 3) == is_growing) {
			count += model[n] == NULL;
			ck_assert_ptr_eq(set(n, value), model[n]);
			model[n] = value;
		} else {
			count -= model[n] != NULL;
			ck_assert_ptr_eq(take(n), model[n]);
			model[n] = NULL;
		}
		ck_assert_uint_eq(hash_map_count(map), count);
	}
	for (i = 0; i < MODEL_KEYS; i++)
		ck_assert_ptr_eq(get(i), model[i]);
}
END_TEST

/*
 * The old table is freed segment by segment, each when its last bucket has moved. So the number of
 * inserts between two such frees shows how many buckets an insert moves, and the change of the used
 * memory shows that no insert allocates or frees a whole table.
 */
START_TEST(a_full_table_moves_over_thousands_of_inserts)
{
	size_t piece = 4096 * sizeof(void *);
	size_t n, since_last = 0, pieces = 0;

	for (n = 0; n < 65536; n++)
		set(n, &values[n]);
	for (; pieces < 65536 / 4096; n++) {
		size_t before = alloc_used_bytes();
		size_t after;

		set(n, &values[n]);
		since_last++;
		after = alloc_used_bytes();
		/* Each of the moves of one step, and the insert, may be the first in its segment.
		 */
		ck_assert_uint_le(after, before + (BUCKETS_STEP + 1) * (piece + 4096));
		ck_assert_uint_le(before, after + piece + 4096);
		if (after + piece / 2 < before) {
			ck_assert_uint_ge(since_last, 4096 / 8);
			since_last = 0;
			pieces++;
		}
		ck_assert_uint_lt(n, 2 * 65536);
	}
	while (n > 0) {
		n--;
		ck_assert_ptr_eq(get(n), &values[n]);
	}
}
END_TEST

START_TEST(a_batch_of_inserts_in_the_middle_of_a_move_makes_few_segments)
{
	const size_t full = 1 << 16, batch = 300;
	size_t before, i;

	for (i = 0; i <= full; i++)
		ck_assert_ptr_null(set(i, &values[i]));
	before = alloc_used_bytes();
	for (; i <= full + batch; i++)
		ck_assert_ptr_null(set(i, &values[i]));
	/* One segment of the old table's 16 and two of the new table's 32. */
	ck_assert_uint_lt(alloc_used_bytes() - before, batch * 96 + 5 * 32768);
	for (i = 0; i <= full + batch; i++)
		ck_assert_ptr_eq(get(i), &values[i]);
}
END_TEST

START_TEST(every_key_is_found_at_every_moment_of_a_move)
{
	size_t n, i;

	for (n = 0; n < 1100; n++) {
		set(n, &values[n]);
		for (i = 0; i <= n; i += 1 + n / 64)
			ck_assert_ptr_eq(get(i), &values[i]);
		ck_assert_ptr_eq(get(n), &values[n]);
		ck_assert_ptr_null(get(n + 1));
	}
}
END_TEST

START_TEST(a_map_that_emptied_holds_next_to_nothing)
{
	size_t before = alloc_used_bytes();
	size_t n;

	for (n = 0; n < 100000; n++)
		set(n, &values[n]);
	for (n = 100; n < 100000; n++)
		take(n);
	for (n = 0; n < 30000; n++) { /* any change continues the moves */
		take(n % 100);
		set(n % 100, &values[n % 100]);
	}
	ck_assert_uint_lt(alloc_used_bytes() - before, 32768);
	for (n = 0; n < 100; n++)
		ck_assert_ptr_eq(take(n), &values[n]);
	ck_assert_uint_eq(alloc_used_bytes(), before);
}
END_TEST

struct census {
	unsigned char seen[8192];
	size_t remove_every; /* 0: none */
};

static void
visit_one(struct slice key, void *value, void *arg)
{
	struct census *census = arg;
	size_t n = (size_t)((char *)value - values);
	char text[32];

	ck_assert(slice_eq(key, key_of(n, text)));
	census->seen[n]++;
	if (census->remove_every > 0 && n % census->remove_every == 0)
		ck_assert_ptr_eq(hash_map_remove(map, key), value);
}

static void
check_census(const struct census *census, size_t count)
{
	size_t n;

	for (n = 0; n < count; n++)
		ck_assert_uint_eq(census->seen[n], 1);
}

/* Sizes around a power of two, so that some visits happen during a move. */
START_TEST(a_visit_sees_each_entry_once_at_any_size)
{
	size_t count = 0, stride = (size_t)testing_stride(1, 7);

	for (count = 0; count < 600; count++) {
		struct census census = {0};

		set(count, &values[count]);
		if (count % stride != 0)
			continue;
		hash_map_each(map, visit_one, &census);
		check_census(&census, count + 1);
	}
}
END_TEST

START_TEST(a_visit_may_remove_what_it_is_given)
{
	struct census census = {.remove_every = 2};
	size_t n;

	for (n = 0; n < 8192; n++)
		set(n, &values[n]);
	hash_map_each(map, visit_one, &census);
	check_census(&census, 8192);
	ck_assert_uint_eq(hash_map_count(map), 4096);
	for (n = 0; n < 8192; n++)
		ck_assert_ptr_eq(get(n), n % 2 == 0 ? NULL : &values[n]);
	census = (struct census){.remove_every = 1};
	hash_map_each(map, visit_one, &census);
	ck_assert_uint_eq(hash_map_count(map), 0);
	ck_assert_ptr_null(set(1, &values[1]));
}
END_TEST

static void
count_drained(struct slice key, void *value, void *arg)
{
	ck_assert_uint_gt(key.len, 0);
	ck_assert_ptr_nonnull(value);
	++*(size_t *)arg;
}

START_TEST(a_map_is_emptied_in_slices)
{
	size_t drained = 0, slices = 0, budget;
	bool is_empty;
	char key[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		ck_assert_ptr_null(hash_map_set(map, slice_of(key), map));
	}
	do {
		budget = 10;
		is_empty = hash_map_drain(map, count_drained, &drained, &budget);
		ck_assert_uint_eq(hash_map_count(map), 1000 - drained);
		slices++;
	} while (!is_empty);
	ck_assert_uint_eq(drained, 1000);
	ck_assert_uint_ge(slices, 100);
	budget = 1;
	ck_assert(hash_map_drain(map, count_drained, &drained, &budget));
	ck_assert_uint_eq(budget, 1);
	ck_assert_ptr_null(hash_map_set(map, SLICE("again"), map));
}
END_TEST

int
main(void)
{
	return testing_main("base/hash_map", setup, teardown,
	    (const TTest *[]){what_was_set_is_found_replaced_and_removed,
		keys_are_copied_and_told_apart_by_every_byte, random_operations_agree_with_an_array,
		a_full_table_moves_over_thousands_of_inserts,
		a_batch_of_inserts_in_the_middle_of_a_move_makes_few_segments,
		every_key_is_found_at_every_moment_of_a_move,
		a_map_that_emptied_holds_next_to_nothing, a_visit_sees_each_entry_once_at_any_size,
		a_visit_may_remove_what_it_is_given, a_map_is_emptied_in_slices, NULL});
}
