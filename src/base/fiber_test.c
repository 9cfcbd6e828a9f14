#include "config.h"

#include "base/fiber.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"

#define STACK ((size_t)256 << 10)

static struct fiber *fiber;
static char trace[64];
static char name_a[] = "a", name_b[] = "b", name_c[] = "c", name_d[] = "d", name_e[] = "e";

static void
setup(void)
{
	fiber = fiber_new(STACK);
	ck_assert_ptr_nonnull(fiber);
	trace[0] = '\0';
}

static void
teardown(void)
{
	fiber_free(fiber);
}

static void
note(const char *what)
{
	ck_assert_uint_lt(strlen(trace) + strlen(what), sizeof(trace));
	strcat(trace, what);
}

static void
do_at_once(void *arg)
{
	ck_assert_int_eq(fiber_state(fiber), FIBER_RUNNING);
	note(arg);
}

static void
do_in_three(void *arg)
{
	char own[16];

	snprintf(own, sizeof(own), "%s1", (char *)arg);
	note(own);
	fiber_suspend(fiber);
	own[1] = '2'; /* its variables are as it left them */
	note(own);
	fiber_suspend(fiber);
	own[1] = '3';
	note(own);
}

START_TEST(a_function_runs_to_its_end)
{
	ck_assert_int_eq(fiber_state(fiber), FIBER_IDLE);
	ck_assert(fiber_run(fiber, do_at_once, name_a));
	ck_assert_int_eq(fiber_state(fiber), FIBER_IDLE);
	ck_assert_str_eq(trace, "a");
}
END_TEST

START_TEST(a_suspended_function_goes_on_where_it_stopped)
{
	ck_assert(!fiber_run(fiber, do_in_three, name_b));
	ck_assert_int_eq(fiber_state(fiber), FIBER_SUSPENDED);
	note("-");
	ck_assert(!fiber_resume(fiber));
	note("-");
	ck_assert(fiber_resume(fiber));
	ck_assert_str_eq(trace, "b1-b2-b3");
}
END_TEST

START_TEST(it_serves_one_function_after_the_other)
{
	for (int i = 0; i < 1000; i++) {
		trace[0] = '\0';
		ck_assert(fiber_run(fiber, do_at_once, name_c));
		ck_assert(!fiber_run(fiber, do_in_three, name_d));
		while (!fiber_resume(fiber))
			continue;
		ck_assert_str_eq(trace, "cd1d2d3");
	}
}
END_TEST

/* Resumed from other depths of the caller's stack than it was begun from. */
static bool
resume_deeper(int depth)
{
	char room[512];

	memset(room, depth, sizeof(room));
	if (depth > 0)
		return resume_deeper(depth - 1);
	ck_assert_int_eq(room[511], 0);
	return fiber_resume(fiber);
}

START_TEST(it_may_be_resumed_from_anywhere)
{
	ck_assert(!fiber_run(fiber, do_in_three, name_e));
	ck_assert(!resume_deeper(20));
	ck_assert(resume_deeper(1));
	ck_assert_str_eq(trace, "e1e2e3");
}
END_TEST

static size_t
use_stack(size_t depth)
{
	char room[1024];

	memset(room, (int)depth, sizeof(room));
	if (depth == 0)
		fiber_suspend(fiber);
	return depth == 0 ? 0 : use_stack(depth - 1) + (unsigned char)room[depth % 1024];
}

static void
use_much(void *arg)
{
	*(size_t *)arg = use_stack(100);
}

START_TEST(it_has_as_much_stack_as_was_asked_for)
{
	size_t sum = 0;

	ck_assert(!fiber_run(fiber, use_much, &sum));
	ck_assert(fiber_resume(fiber));
	ck_assert_uint_eq(sum, 5050);
}
END_TEST

START_TEST(without_memory_there_is_none)
{
	ck_assert_ptr_null(fiber_new(SIZE_MAX / 4));
}
END_TEST

int
main(void)
{
	return testing_main("base/fiber", setup, teardown,
	    (const TTest *[]){a_function_runs_to_its_end,
		a_suspended_function_goes_on_where_it_stopped,
		it_serves_one_function_after_the_other, it_may_be_resumed_from_anywhere,
		it_has_as_much_stack_as_was_asked_for, without_memory_there_is_none, NULL});
}
