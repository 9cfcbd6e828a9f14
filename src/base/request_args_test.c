#include "config.h"

#include "base/request_args.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

static struct request_args args;

static void
teardown(void)
{
	request_args_release(&args);
}

START_TEST(arguments_are_slices_of_the_feed_until_they_are_kept)
{
	char feed[] = "onetwo";

	request_args_push(&args, (struct slice){feed, 3}, 1);
	request_args_keep(&args);
	request_args_push(&args, (struct slice){feed + 3, 3}, 1);
	ck_assert_ptr_eq(args.items[1].ptr, feed + 3);
	request_args_keep(&args);
	memset(feed, 'x', sizeof(feed));
	ck_assert_uint_eq(args.count, 2);
	ck_assert(slice_is(args.items[0], "one"));
	ck_assert(slice_is(args.items[1], "two"));
	ck_assert_uint_eq(request_args_held_bytes(&args), 6 + 2 * sizeof(struct slice));
}
END_TEST

START_TEST(a_small_array_stays_for_the_next_request_and_a_large_one_does_not)
{
	for (int i = 0; i < 4; i++)
		request_args_push(&args, SLICE("a"), 4);
	request_args_clear(&args, 4);
	ck_assert_uint_eq(args.room, 4);
	ck_assert_uint_eq(args.count, 0);
	for (int i = 0; i < 5; i++)
		request_args_push(&args, SLICE("a"), 4);
	ck_assert_uint_eq(args.room, 8);
	request_args_clear(&args, 4);
	ck_assert_uint_eq(request_args_room_bytes(&args), 0);
}
END_TEST

START_TEST(who_gets_the_arena_may_use_the_arguments_after_the_next_request)
{
	struct arena arena = {0};
	struct slice one;
	char feed[] = "one";

	request_args_give_arena(&args, &arena);
	ck_assert_ptr_null(arena.top);
	request_args_push(&args, (struct slice){feed, 3}, 1);
	request_args_keep(&args);
	one = args.items[0];
	request_args_give_arena(&args, &arena);
	request_args_clear(&args, 0);
	ck_assert(slice_is(one, "one"));
	arena_release(&arena);
}
END_TEST

int
main(void)
{
	return testing_main("base/request_args", NULL, teardown,
	    (const TTest *[]){arguments_are_slices_of_the_feed_until_they_are_kept,
		a_small_array_stays_for_the_next_request_and_a_large_one_does_not,
		who_gets_the_arena_may_use_the_arguments_after_the_next_request, NULL});
}
