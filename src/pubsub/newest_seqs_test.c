#include "config.h"

#include "pubsub/newest_seqs.h"

#include <check.h>
#include <stdlib.h>

#include "base/testing.h"

START_TEST(the_floor_is_below_the_highest_ones)
{
	struct newest_seqs newest = {.most = 2};

	ck_assert_uint_eq(newest_seqs_floor(&newest), 0);
	ck_assert(newest_seqs_add(&newest, 5));
	ck_assert_uint_eq(newest_seqs_floor(&newest), 0);
	ck_assert(newest_seqs_add(&newest, 9));
	ck_assert_uint_eq(newest_seqs_floor(&newest), 4);
	ck_assert(!newest_seqs_add(&newest, 4));
	ck_assert(newest_seqs_add(&newest, 7));
	ck_assert_uint_eq(newest_seqs_floor(&newest), 6);
	newest_seqs_release(&newest);
}
END_TEST

static int
descending(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

	return first > second ? -1 : first < second;
}

START_TEST(they_equal_the_first_ones_of_a_sorted_list)
{
	enum { COUNT = 1000 };
	static uint64_t seqs[COUNT];
	uint64_t seed = 20261129;

	for (uint32_t most = 1; most < COUNT + 3; most += 1 + most / 2) {
		struct newest_seqs newest = {.most = most};

		for (int i = 0; i < COUNT; i++) {
			seqs[i] = 1 + (testing_random(&seed) % 100000) * COUNT + (uint64_t)i;
			(void)newest_seqs_add(&newest, seqs[i]);
		}
		qsort(seqs, COUNT, sizeof(*seqs), descending);
		ck_assert_uint_eq(
		    newest_seqs_floor(&newest), most <= COUNT ? seqs[most - 1] - 1 : 0);
		newest_seqs_release(&newest);
	}
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/newest_seqs", NULL, NULL,
	    (const TTest *[]){the_floor_is_below_the_highest_ones,
		they_equal_the_first_ones_of_a_sorted_list, NULL});
}
