#include "config.h"

#include "edge/leases.h"

#include <check.h>
#include <stdio.h>

#include "base/testing.h"

static struct edge_leases *leases;

static void
teardown(void)
{
	edge_leases_free(leases);
	leases = NULL;
}

static void
expect_first(const char *expected, uint64_t at)
{
	struct slice shown;
	uint64_t ends_us;

	ck_assert(edge_lease_first(leases, &shown, &ends_us));
	ck_assert(slice_is(shown, expected));
	ck_assert_uint_eq(ends_us, at);
}

START_TEST(an_empty_list_has_no_first)
{
	struct slice shown;
	uint64_t ends_us;

	ck_assert(!edge_lease_first(NULL, &shown, &ends_us));
	ck_assert_ptr_null(edge_lease_end(NULL, SLICE("a")));
}
END_TEST

START_TEST(the_first_is_the_one_that_ends_first)
{
	leases = edge_lease_set(leases, SLICE("a"), 30);
	leases = edge_lease_set(leases, SLICE("b"), 10);
	leases = edge_lease_set(leases, SLICE("c"), 20);
	expect_first("b", 10);
	leases = edge_lease_set(leases, SLICE("b"), 40);
	expect_first("c", 20);
	leases = edge_lease_end(leases, SLICE("c"));
	expect_first("a", 30);
	leases = edge_lease_end(leases, SLICE("none"));
	leases = edge_lease_end(leases, SLICE("a"));
	expect_first("b", 40);
	leases = edge_lease_end(leases, SLICE("b"));
	ck_assert_ptr_null(leases);
}
END_TEST

START_TEST(a_hundred_of_them_end_in_order)
{
	char name[8];

	for (int i = 0; i < 100; i++) {
		int len = snprintf(name, sizeof(name), "%d", i * 37 % 100);

		leases = edge_lease_set(
		    leases, (struct slice){name, (size_t)len}, (uint64_t)(i * 37 % 100));
	}
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d", i);
		expect_first(name, (uint64_t)i);
		leases = edge_lease_end(leases, slice_of(name));
	}
	ck_assert_ptr_null(leases);
}
END_TEST

int
main(void)
{
	return testing_main("edge/leases", NULL, teardown,
	    (const TTest *[]){an_empty_list_has_no_first, the_first_is_the_one_that_ends_first,
		a_hundred_of_them_end_in_order, NULL});
}
