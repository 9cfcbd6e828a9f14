#include "config.h"

#include "kv/id_tree.h"

#include <check.h>
#include <stdlib.h>

#include "base/testing.h"
#include "kv/memory.h"

/* An id tree compared with an array of flags, one for each possible id. */
#define IDS 5000

static struct id_tree tree;
static char there[IDS]; /* their addresses are the values */
static size_t count;
static uint64_t seed;

static void
setup(void)
{
	id_tree_init(&tree);
	for (size_t i = 0; i < IDS; i++)
		there[i] = 0;
	count = 0;
	seed = 1;
}

static void
teardown(void)
{
	size_t all = SIZE_MAX;

	ck_assert(id_tree_drain(&tree, NULL, NULL, &all));
	ck_assert_uint_eq(kv_used_bytes(), 0);
}

/* Some share the ms. */
static struct stream_id
id_of(size_t i)
{
	return (struct stream_id){i / 7, i % 7};
}

static void
add(size_t i)
{
	id_tree_add(&tree, id_of(i), &there[i]);
	there[i] = 1;
	count++;
}

static void
remove_one(size_t i)
{
	ck_assert_ptr_eq(id_tree_remove(&tree, id_of(i)), &there[i]);
	there[i] = 0;
	count--;
}

static size_t
next_there(size_t i)
{
	while (i < IDS && !there[i])
		i++;
	return i;
}

/* Walks from a place in both directions. */
static void
check_from(size_t i, bool after)
{
	const struct id_entry *entry;
	struct id_cursor c;
	size_t at = next_there(i + after);

	id_tree_seek(&tree, id_of(i), after, &c);
	for (size_t n = 0; n < 70; n++) {
		entry = id_cursor_next(&c);
		ck_assert_ptr_eq(entry != NULL ? entry->value : NULL, at < IDS ? &there[at] : NULL);
		if (entry == NULL)
			break;
		at = next_there(at + 1);
	}
	id_tree_seek(&tree, id_of(i), after, &c);
	for (size_t left = i + after; left-- > 0;) {
		if (!there[left])
			continue;
		entry = id_cursor_prev(&c);
		ck_assert_ptr_nonnull(entry);
		ck_assert_ptr_eq(entry->value, &there[left]);
	}
	ck_assert_ptr_null(id_cursor_prev(&c));
}

static void
check(void)
{
	ck_assert(id_tree_is_sound(&tree));
	ck_assert_uint_eq(tree.count, count);
	for (size_t n = 0; n < 3; n++)
		check_from(testing_random(&seed) % IDS, n % 2 == 0);
}

START_TEST(random_adding_and_removing_keeps_the_order)
{
	for (int step = 0; step < testing_steps(40000); step++) {
		/* It grows, shrinks to little, and grows again. */
		bool grows = step / 8000 % 2 == 0;
		size_t i = testing_random(&seed) % IDS;

		if (!there[i] && (grows || testing_random(&seed) % 4 == 0))
			add(i);
		else if (there[i] && !grows)
			remove_one(i);
		ck_assert_ptr_eq(id_tree_find(&tree, id_of(i)), there[i] ? &there[i] : NULL);
		if (!there[i])
			ck_assert_ptr_null(id_tree_remove(&tree, id_of(i)));
		if (step % 500 == 0)
			check();
	}
	check();
}
END_TEST

START_TEST(a_tree_that_is_filled_in_order_has_full_leaves)
{
	for (size_t i = 0; i < IDS; i++)
		add(i);
	check();
	ck_assert_uint_lt(tree.bytes, IDS * (sizeof(struct id_entry) + 3));
}
END_TEST

START_TEST(a_tree_that_is_emptied_from_the_front_holds_no_memory)
{
	for (size_t i = 0; i < IDS; i++)
		add(i);
	for (size_t i = 0; i < IDS; i++) {
		remove_one(i);
		if (i % 500 == 0)
			check();
	}
	check();
	ck_assert_ptr_null(tree.root);
}
END_TEST

START_TEST(few_of_many_entries_take_little_memory)
{
	for (size_t i = 0; i < IDS; i++)
		add(i);
	for (size_t i = 0; i < IDS; i++)
		if (i % 64 != 0)
			remove_one(i);
	check();
	ck_assert_uint_lt(tree.bytes, IDS / 64 * sizeof(struct id_entry) * 6);
}
END_TEST

START_TEST(a_tree_of_one_entry_is_small)
{
	add(5);
	ck_assert_uint_le(tree.bytes, 160);
}
END_TEST

START_TEST(an_empty_tree_has_no_entries)
{
	struct id_cursor c;

	id_tree_seek(&tree, STREAM_ID_MIN, false, &c);
	ck_assert_ptr_null(id_cursor_next(&c));
	ck_assert_ptr_null(id_cursor_prev(&c));
	ck_assert_ptr_null(id_tree_find(&tree, STREAM_ID_MIN));
	ck_assert_ptr_null(id_tree_remove(&tree, STREAM_ID_MAX));
	ck_assert(id_tree_is_sound(&tree));
}
END_TEST

START_TEST(a_value_can_be_replaced)
{
	add(5);
	add(9);
	id_tree_replace(&tree, id_of(9), &there[1]);
	ck_assert_ptr_eq(id_tree_find(&tree, id_of(9)), &there[1]);
	ck_assert_ptr_eq(id_tree_find(&tree, id_of(5)), &there[5]);
}
END_TEST

static size_t
note_release(void *value, void *arg)
{
	(void)arg;
	ck_assert_int_eq(*(char *)value, 1);
	*(char *)value = 0;
	return 2;
}

START_TEST(draining_stops_when_the_budget_is_used_up)
{
	size_t budget, rounds = 0;
	bool done = false;

	for (size_t i = 0; i < IDS; i++)
		add(i);
	for (; !done; rounds++) {
		budget = 1000;
		done = id_tree_drain(&tree, note_release, NULL, &budget);
		ck_assert(done || budget == 0);
	}
	ck_assert_uint_ge(rounds, 2 * IDS / 1000);
	ck_assert_uint_eq(next_there(0), IDS);
	ck_assert_uint_eq(kv_used_bytes(), 0);
}
END_TEST

int
main(void)
{
	return testing_main("kv/id_tree", setup, teardown,
	    (const TTest *[]){random_adding_and_removing_keeps_the_order,
		a_tree_that_is_filled_in_order_has_full_leaves,
		a_tree_that_is_emptied_from_the_front_holds_no_memory,
		few_of_many_entries_take_little_memory, a_tree_of_one_entry_is_small,
		an_empty_tree_has_no_entries, a_value_can_be_replaced,
		draining_stops_when_the_budget_is_used_up, NULL});
}
