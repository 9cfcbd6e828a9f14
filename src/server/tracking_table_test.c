#include "config.h"

#include "server/tracking_table.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "base/testing.h"

static struct tracking_table table;
static struct random chance;

/* They live as long as the table, which teardown releases. */
static struct tracking_owner ann, bob;

static void
setup(void)
{
	tracking_table_init(&table);
	ann = bob = (struct tracking_owner){0};
	random_seed(&chance, 20261130);
}

static void
teardown(void)
{
	tracking_table_release(&table);
}

static void
remove_name(const char *name)
{
	tracking_table_remove(&table, tracking_table_find(&table, slice_of(name)));
}

static bool
has(const struct tracking_owner *owner, const char *name)
{
	const struct tracked_key *key = tracking_table_find(&table, slice_of(name));
	const struct tracking_item *item;

	if (key == NULL)
		return false;
	LIST_FOREACH (item, &key->items, of_key)
		if (item->owner == owner)
			return true;
	return false;
}

START_TEST(each_pair_is_there_once)
{
	tracking_table_add(&table, &ann, SLICE("k"));
	tracking_table_add(&table, &ann, SLICE("k"));
	tracking_table_add(&table, &bob, SLICE("k"));
	ck_assert_uint_eq(table.count, 1);
	ck_assert_uint_eq(table.item_count, 2);
	remove_name("k");
	ck_assert(!has(&ann, "k"));
	ck_assert_uint_eq(table.count, 0);
	ck_assert_uint_eq(table.item_count, 0);
}
END_TEST

START_TEST(a_long_name_weighs_more)
{
	char name[513];

	memset(name, 'x', sizeof(name));
	tracking_table_add(&table, &ann, (struct slice){name, 255});
	ck_assert_uint_eq(table.weight, 1);
	tracking_table_add(&table, &ann, (struct slice){name, 512});
	ck_assert_uint_eq(table.weight, 4);
	tracking_table_remove(&table, tracking_table_find(&table, (struct slice){name, 512}));
	ck_assert_uint_eq(table.weight, 1);
}
END_TEST

START_TEST(cleared_keys_are_absent_at_once_and_freed_in_slices)
{
	size_t budget = 3;

	tracking_table_add(&table, &ann, SLICE("a"));
	tracking_table_add(&table, &ann, SLICE("b"));
	tracking_table_clear(&table);
	ck_assert_uint_eq(table.count + table.item_count + table.weight, 0);
	ck_assert(!has(&ann, "a"));
	ck_assert_ptr_null(tracking_table_random(&table, &chance));
	tracking_table_add(&table, &ann, SLICE("b"));
	tracking_table_add(&table, &ann, SLICE("c"));
	ck_assert(has(&ann, "b") && has(&ann, "c"));
	ck_assert_uint_eq(table.item_count, 2);
	ck_assert_ptr_nonnull(tracking_table_random(&table, &chance));
	ck_assert(tracking_table_tidy(&table, &budget));
	ck_assert_uint_eq(budget, 1); /* "a" and its item */
	ck_assert(has(&ann, "b") && has(&ann, "c"));
	tracking_table_clear(&table);
	budget = 1;
	ck_assert(!tracking_table_tidy(&table, &budget));
	budget = 3;
	ck_assert(tracking_table_tidy(&table, &budget));
}
END_TEST

START_TEST(an_owner_is_forgotten_in_slices)
{
	size_t budget = 1;

	tracking_table_add(&table, &ann, SLICE("a"));
	tracking_table_add(&table, &ann, SLICE("b"));
	tracking_table_add(&table, &bob, SLICE("b"));
	ck_assert(!tracking_table_forget(&table, &ann, &budget));
	budget = 1;
	ck_assert(tracking_table_forget(&table, &ann, &budget));
	ck_assert(has(&bob, "b"));
	ck_assert_uint_eq(table.count, 1);
	ck_assert_uint_eq(table.item_count, 1);
}
END_TEST

enum { OWNERS = 5, NAMES = 40 };

/* The model: which owner has read which key. */
struct model {
	struct tracking_owner owners[OWNERS];
	bool reads[OWNERS][NAMES];
};

static const char *
name_of(size_t i)
{
	static char name[8];

	snprintf(name, sizeof(name), "%zu", i);
	return name;
}

static void
forget_name(struct model *m, size_t name)
{
	for (int i = 0; i < OWNERS; i++)
		m->reads[i][name] = false;
}

static void
change(struct model *m, uint64_t *seed)
{
	size_t owner = testing_random(seed) % OWNERS, name = testing_random(seed) % NAMES;
	size_t budget = 2, all = SIZE_MAX;
	struct tracked_key *key;

	switch (testing_random(seed) % 40) {
	case 0:
		tracking_table_clear(&table);
		memset(m->reads, 0, sizeof(m->reads));
		break;
	case 1:
		ck_assert(tracking_table_forget(&table, &m->owners[owner], &all));
		memset(m->reads[owner], 0, sizeof(m->reads[owner]));
		break;
	case 2:
		ck_assert(tracking_table_tidy(&table, &budget) || budget == 0);
		break;
	case 3:
	case 4:
		key = tracking_table_random(&table, &chance);
		if (key == NULL)
			break;
		for (name = 0; !slice_is((struct slice){key->name, key->len}, name_of(name));)
			name++;
		tracking_table_remove(&table, key);
		forget_name(m, name);
		break;
	case 5:
	case 6:
	case 7:
		if (tracking_table_find(&table, slice_of(name_of(name))) != NULL)
			remove_name(name_of(name));
		forget_name(m, name);
		break;
	default:
		tracking_table_add(&table, &m->owners[owner], slice_of(name_of(name)));
		m->reads[owner][name] = true;
	}
}

static void
compare(const struct model *m)
{
	size_t keys = 0, items = 0;

	for (size_t name = 0; name < NAMES; name++) {
		bool is_read = false;

		for (int i = 0; i < OWNERS; i++) {
			ck_assert_int_eq(has(&m->owners[i], name_of(name)), m->reads[i][name]);
			items += m->reads[i][name];
			is_read = is_read || m->reads[i][name];
		}
		keys += is_read;
	}
	ck_assert_uint_eq(table.count, keys);
	ck_assert_uint_eq(table.weight, keys);
	ck_assert_uint_eq(table.item_count, items);
}

START_TEST(random_changes_equal_the_model)
{
	static struct model m;
	uint64_t seed = 20261130;

	for (int n = 0; n < testing_steps(20000); n++) {
		change(&m, &seed);
		if (n % 8 == 0)
			compare(&m);
	}
}
END_TEST

int
main(void)
{
	return testing_main("server/tracking_table", setup, teardown,
	    (const TTest *[]){each_pair_is_there_once, a_long_name_weighs_more,
		cleared_keys_are_absent_at_once_and_freed_in_slices,
		an_owner_is_forgotten_in_slices, random_changes_equal_the_model, NULL});
}
