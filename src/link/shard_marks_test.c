#include "config.h"

#include "link/shard_marks.h"

#include <check.h>

#include "base/testing.h"

static struct shard_marks marks;

static void
setup(void)
{
	marks = (struct shard_marks){0};
}

static bool
has_news(void)
{
	bool has = marks.has_news;

	marks.has_news = false;
	return has;
}

START_TEST(a_mark_does_not_wait_for_other_sources)
{
	uint64_t frozen = shard_marks_add(&marks, 0, 5);
	uint64_t first = shard_marks_add(&marks, 1, 1);
	uint64_t second = shard_marks_add(&marks, SHARD_MARKS_SOURCES - 1, 2);

	ck_assert(!has_news());
	shard_marks_update(&marks, 1, 1);
	ck_assert(has_news() && shard_marks_is_reached(&marks, first));
	ck_assert(!shard_marks_is_reached(&marks, second));
	shard_marks_update(&marks, SHARD_MARKS_SOURCES - 1, 3);
	ck_assert(has_news() && shard_marks_is_reached(&marks, second));
	shard_marks_update(&marks, 0, 4);
	ck_assert(!shard_marks_is_reached(&marks, frozen));
	shard_marks_update(&marks, 0, 5);
	ck_assert(shard_marks_is_reached(&marks, frozen));
}
END_TEST

START_TEST(a_source_for_which_nobody_waits_has_no_news)
{
	shard_marks_update(&marks, 0, 7);
	ck_assert(!has_news());
	(void)shard_marks_add(&marks, 0, 8);
	shard_marks_update(&marks, 0, 7);
	ck_assert(!has_news());
	shard_marks_update(&marks, 0, 9);
	ck_assert(has_news());
	shard_marks_update(&marks, 0, 10);
	ck_assert(!has_news());
}
END_TEST

START_TEST(marks_of_a_source_that_is_gone_are_reached_and_new_ones_are_not)
{
	uint64_t old = shard_marks_add(&marks, 0, 3), other = shard_marks_add(&marks, 1, 1), next;

	shard_marks_forget(&marks, 0);
	ck_assert(has_news());
	ck_assert(shard_marks_is_reached(&marks, old) && !shard_marks_is_reached(&marks, other));
	next = shard_marks_add(&marks, 0, 1); /* another one with its number, from 0 on */
	ck_assert(next > old && !shard_marks_is_reached(&marks, next));
	shard_marks_update(&marks, 0, 0);
	ck_assert(!shard_marks_is_reached(&marks, next) && !has_news());
	shard_marks_update(&marks, 0, 1);
	ck_assert(shard_marks_is_reached(&marks, next) && has_news());
	shard_marks_update(&marks, 0, 100);
	shard_marks_forget(&marks, 0);
	ck_assert(!shard_marks_is_reached(&marks, shard_marks_add(&marks, 0, 1)));
}
END_TEST

int
main(void)
{
	return testing_main("link/shard_marks", setup, NULL,
	    (const TTest *[]){a_mark_does_not_wait_for_other_sources,
		a_source_for_which_nobody_waits_has_no_news,
		marks_of_a_source_that_is_gone_are_reached_and_new_ones_are_not, NULL});
}
