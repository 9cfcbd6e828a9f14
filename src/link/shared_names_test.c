#include "config.h"

#include "link/shared_names.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "link/slots.h"

static struct shared_names *names;

static void
setup(void)
{
	names = shared_names_new();
}

static void
teardown(void)
{
	shared_names_free(names);
}

START_TEST(a_name_is_wanted_while_one_of_its_kinds_has_subscribers)
{
	struct slice x = SLICE("x");

	ck_assert(shared_names_add(names, HUB_CHANNEL, x));
	ck_assert(!shared_names_add(names, HUB_SHARD, x));
	ck_assert(shared_names_has(names, HUB_SHARD, x));
	ck_assert(!shared_names_remove(names, HUB_CHANNEL, x));
	ck_assert(!shared_names_remove(names, HUB_CHANNEL, x));
	ck_assert(!shared_names_has(names, HUB_CHANNEL, x));
	ck_assert(shared_names_remove(names, HUB_SHARD, x));
	ck_assert(!shared_names_remove(names, HUB_SHARD, x));
	ck_assert(!shared_names_has(names, HUB_SHARD, x));
	ck_assert(shared_names_add(names, HUB_SHARD, x));
}
END_TEST

static void
count_name(void *arg, struct slice name)
{
	size_t *count = arg;

	ck_assert(slot_of(name) == slot_of(SLICE("tag")));
	++*count;
}

START_TEST(the_names_of_a_slot_are_visited)
{
	char name[32];
	size_t count = 0;

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), i % 2 == 0 ? "{tag}%d" : "{other}%d", i);
		ck_assert(shared_names_add(names, HUB_CHANNEL, slice_of(name)));
	}
	shared_names_each(names, slot_of(SLICE("tag")), count_name, &count);
	ck_assert_uint_eq(count, 50);
}
END_TEST

int
main(void)
{
	return testing_main("link/shared_names", setup, teardown,
	    (const TTest *[]){a_name_is_wanted_while_one_of_its_kinds_has_subscribers,
		the_names_of_a_slot_are_visited, NULL});
}
