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
	struct slice name;
	bool is_pattern;
	uint64_t ends_us;

	ck_assert(edge_lease_first(leases, &name, &is_pattern, &ends_us));
	ck_assert(!is_pattern && slice_is(name, expected));
	ck_assert_uint_eq(ends_us, at);
}

START_TEST(an_empty_list_has_no_first)
{
	struct slice name;
	bool is_pattern;
	uint64_t ends_us;

	ck_assert(!edge_lease_first(NULL, &name, &is_pattern, &ends_us));
	ck_assert_ptr_null(edge_lease_end(NULL, SLICE("a"), false));
}
END_TEST

START_TEST(the_first_is_the_one_that_ends_first)
{
	leases = edge_lease_set(leases, SLICE("a"), false, 30);
	leases = edge_lease_set(leases, SLICE("b"), false, 10);
	leases = edge_lease_set(leases, SLICE("c"), false, 20);
	expect_first("b", 10);
	leases = edge_lease_set(leases, SLICE("b"), false, 40);
	expect_first("c", 20);
	leases = edge_lease_end(leases, SLICE("c"), false);
	expect_first("a", 30);
	leases = edge_lease_end(leases, SLICE("none"), false);
	leases = edge_lease_end(leases, SLICE("a"), false);
	expect_first("b", 40);
	leases = edge_lease_end(leases, SLICE("b"), false);
	ck_assert_ptr_null(leases);
}
END_TEST

START_TEST(a_channel_and_a_pattern_of_the_same_name_are_two)
{
	leases = edge_lease_set(leases, SLICE("a"), false, 10);
	leases = edge_lease_set(leases, SLICE("a"), true, 20);
	expect_first("a", 10);
	leases = edge_lease_end(leases, SLICE("a"), true);
	ck_assert(edge_lease_has(leases, SLICE("a"), false));
	ck_assert(!edge_lease_has(leases, SLICE("a"), true));
}
END_TEST

START_TEST(a_hundred_of_them_end_in_order)
{
	char name[16];

	for (int i = 0; i < 100; i++) {
		int len = snprintf(name, sizeof(name), "%d", i * 37 % 100);

		leases = edge_lease_set(
		    leases, (struct slice){name, (size_t)len}, false, (uint64_t)(i * 37 % 100));
	}
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d", i);
		expect_first(name, (uint64_t)i);
		leases = edge_lease_end(leases, slice_of(name), false);
	}
	ck_assert_ptr_null(leases);
}
END_TEST

int
main(void)
{
	return testing_main("edge/leases", NULL, teardown,
	    (const TTest *[]){an_empty_list_has_no_first, the_first_is_the_one_that_ends_first,
		a_channel_and_a_pattern_of_the_same_name_are_two, a_hundred_of_them_end_in_order,
		NULL});
}
