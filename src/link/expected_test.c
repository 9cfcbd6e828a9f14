#include "config.h"

#include "link/expected.h"

#include <check.h>
#include <string.h>

#include "base/random.h"
#include "base/testing.h"

static struct link_expected expected;

static void
setup(void)
{
	memset(&expected, 0, sizeof(expected));
}

static void
teardown(void)
{
	link_expected_release(&expected);
}

static void
assert_first(enum link_answer_kind kind, size_t count)
{
	const struct link_answer *first = link_first_expected(&expected);

	ck_assert_ptr_nonnull(first);
	ck_assert_int_eq(first->kind, kind);
	ck_assert_uint_eq(first->count, count);
}

START_TEST(replies_come_in_the_order_of_the_commands)
{
	ck_assert_ptr_null(link_first_expected(&expected));
	link_expect(&expected, ANSWER_HELLO, 1);
	link_expect(&expected, ANSWER_SUBSCRIBED, 3);
	link_expect(&expected, ANSWER_SUBSCRIBED, 2);
	assert_first(ANSWER_HELLO, 1);
	link_take_expected(&expected, 1);
	link_take_expected(&expected, 2);
	assert_first(ANSWER_SUBSCRIBED, 1);
	link_take_expected(&expected, 1);
	assert_first(ANSWER_SUBSCRIBED, 2);
	link_take_expected(&expected, 2);
	ck_assert_ptr_null(link_first_expected(&expected));
}
END_TEST

START_TEST(messages_one_after_the_other_are_one_entry)
{
	for (int i = 0; i < 1000; i++)
		link_expect(&expected, ANSWER_PUBLISHED, 1);
	assert_first(ANSWER_PUBLISHED, 1000);
	link_take_expected(&expected, 1000);
	link_expect(&expected, ANSWER_PUBLISHED, 1);
	assert_first(ANSWER_PUBLISHED, 1);
}
END_TEST

/* Against a plain list. */
START_TEST(it_agrees_with_a_list)
{
	static enum link_answer_kind list[200000];
	size_t first = 0, last = 0;
	struct random random;

	random_seed(&random, 1);
	for (int step = 0; step < 100000; step++) {
		enum link_answer_kind kind = (enum link_answer_kind)random_below(&random, 5);
		size_t published = 0;

		if (random_below(&random, 100) < 55) {
			link_expect(&expected, kind, 1);
			list[last++] = kind;
		} else if (first < last) {
			ck_assert_int_eq(link_first_expected(&expected)->kind, list[first]);
			link_take_expected(&expected, 1);
			first++;
		}
		ck_assert(first < last || link_first_expected(&expected) == NULL);
		if (step % 1000 != 0)
			continue;
		for (size_t i = first; i < last; i++)
			published += list[i] == ANSWER_PUBLISHED;
		ck_assert_uint_eq(link_count_expected(&expected, ANSWER_PUBLISHED), published);
		ck_assert_uint_le(
		    expected.answers.len, (2 * (last - first) + 2) * sizeof(struct link_answer));
	}
}
END_TEST

int
main(void)
{
	return testing_main("link/expected", setup, teardown,
	    (const TTest *const[]){
		replies_come_in_the_order_of_the_commands,
		messages_one_after_the_other_are_one_entry,
		it_agrees_with_a_list,
		NULL,
	    });
}
