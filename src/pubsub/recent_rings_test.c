#include "config.h"

#include "pubsub/recent_rings.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

#define RINGS 5

static struct ring_pool pool;
static struct recent_rings recent;
static struct ring rings[RINGS + 1];
static struct ring_walk walk;

static void
setup(void)
{
	ring_pool_init(&pool);
	recent_rings_init(&recent);
	for (int i = 0; i < RINGS; i++) {
		rings[i] = (struct ring){.pool = &pool, .newest_seq = (uint64_t)i + 1};
		recent_rings_add(&recent, &rings[i]);
	}
	walk = (struct ring_walk){.rings = NULL};
}

/* The next rings of the walk, as their indices: at most `most` of them. */
static const char *
next(size_t most)
{
	static char text[RINGS + 8];
	size_t len = 0;

	while (len < most) {
		size_t budget = 1;
		const struct ring *ring = ring_walk_next(&walk, &budget);

		if (ring == NULL && budget > 0)
			break;
		ck_assert_uint_eq(budget, 0);
		text[len++] = ring != NULL ? (char)('0' + (ring - rings)) : '-';
	}
	text[len] = '\0';
	return text;
}

START_TEST(a_walk_goes_from_the_newest_to_the_oldest)
{
	ring_walk_begin(&walk, &recent);
	ck_assert_str_eq(next(9), "43210");
	ck_assert_str_eq(next(9), "");
	ring_walk_end(&walk);
	ring_walk_end(&walk);
	ring_walk_begin(&walk, &recent);
	ck_assert_str_eq(next(1), "4");
	ring_walk_end(&walk);
}
END_TEST

START_TEST(rings_move_and_go_while_a_walk_pauses)
{
	ring_walk_begin(&walk, &recent);
	ck_assert_str_eq(next(2), "43");
	recent_rings_touch(&recent, &rings[1]);
	recent_rings_touch(&recent, &rings[3]);
	recent_rings_remove(&recent, &rings[2]);
	ck_assert_str_eq(next(9), "0");
	ring_walk_end(&walk);
	ring_walk_begin(&walk, &recent);
	ck_assert_str_eq(next(9), "3140");
	ring_walk_end(&walk);
}
END_TEST

START_TEST(another_ring_takes_a_place)
{
	rings[RINGS] = rings[2];
	recent_rings_replace(&recent, &rings[2], &rings[RINGS]);
	ring_walk_begin(&walk, &recent);
	ck_assert_str_eq(next(9), "43510");
	ring_walk_end(&walk);
}
END_TEST

START_TEST(marks_of_other_walks_take_of_the_budget)
{
	struct ring_walk others[3] = {{.rings = NULL}};

	for (int i = 0; i < 3; i++)
		ring_walk_begin(&others[i], &recent);
	ring_walk_begin(&walk, &recent);
	ck_assert_str_eq(next(4), "---4");
	for (int i = 0; i < 3; i++)
		ring_walk_end(&others[i]);
	ck_assert_str_eq(next(9), "3210");
	ring_walk_end(&walk);
}
END_TEST

START_TEST(a_walk_stops_where_an_earlier_one_began)
{
	struct ring_walk earlier = {.rings = NULL};

	ring_walk_begin(&earlier, &recent);
	ck_assert(!ring_walk_is_behind(&earlier));
	ring_walk_begin(&walk, &recent);
	ck_assert(!ring_walk_is_behind(&earlier));
	ring_walk_until(&walk, &earlier);
	ck_assert_str_eq(next(9), "");
	ring_walk_end(&walk);
	recent_rings_touch(&recent, &rings[2]);
	recent_rings_touch(&recent, &rings[0]);
	ck_assert(ring_walk_is_behind(&earlier));
	ring_walk_begin(&walk, &recent);
	ring_walk_until(&walk, &earlier);
	ck_assert_str_eq(next(9), "02");
	ck_assert_str_eq(next(9), "");
	ring_walk_end(&walk);
	ring_walk_begin(&walk, &recent);
	ck_assert_str_eq(next(9), "02-431");
	ring_walk_end(&walk);
	ring_walk_end(&earlier);
}
END_TEST

START_TEST(restored_rings_are_sorted)
{
	static const uint64_t seqs[RINGS] = {30, 10, 50, 20, 40};

	for (int i = 0; i < RINGS; i++)
		rings[i].newest_seq = seqs[i];
	recent_rings_sort(&recent);
	ring_walk_begin(&walk, &recent);
	ck_assert_str_eq(next(9), "24031");
	ring_walk_end(&walk);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/recent_rings", setup, NULL,
	    (const TTest *[]){a_walk_goes_from_the_newest_to_the_oldest,
		rings_move_and_go_while_a_walk_pauses, another_ring_takes_a_place,
		marks_of_other_walks_take_of_the_budget, a_walk_stops_where_an_earlier_one_began,
		restored_rings_are_sorted, NULL});
}
