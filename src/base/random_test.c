#include "config.h"

#include "base/random.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/testing.h"

START_TEST(the_same_seed_gives_the_same_numbers_and_another_others)
{
	struct random a, b, c;
	int i, same = 0;

	random_seed(&a, 7);
	random_seed(&b, 7);
	random_seed(&c, 8);
	for (i = 0; i < 100; i++) {
		uint64_t v = random_next(&a);

		ck_assert_uint_eq(v, random_next(&b));
		same += v == random_next(&c);
	}
	ck_assert_int_eq(same, 0);
}
END_TEST

START_TEST(each_number_below_the_limit_comes_about_as_often)
{
	unsigned seen[7] = {0};
	struct random r;
	int i;

	random_seed(&r, 1);
	for (i = 0; i < 70000; i++)
		seen[random_below(&r, 7)]++;
	for (i = 0; i < 7; i++) {
		ck_assert_uint_gt(seen[i], 9500);
		ck_assert_uint_lt(seen[i], 10500);
	}
}
END_TEST

START_TEST(limits_may_be_anything_but_0)
{
	struct random r;
	int i;

	random_init(&r);
	for (i = 0; i < 1000; i++) {
		ck_assert_uint_eq(random_below(&r, 1), 0);
		ck_assert_uint_lt(
		    random_below(&r, ((uint64_t)1 << 63) + 1), ((uint64_t)1 << 63) + 1);
		ck_assert_uint_lt(random_below(&r, UINT64_MAX), UINT64_MAX);
	}
}
END_TEST

/* The assertion reports the caller's error, not the processor a division by zero. */
START_TEST(a_limit_of_0_is_an_assertion)
{
	struct random r;
	pid_t pid;
	int status;

	random_seed(&r, 1);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		fclose(stderr);
		(void)random_below(&r, 0);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGABRT);
}
END_TEST

int
main(void)
{
	return testing_main("base/random", NULL, NULL,
	    (const TTest *[]){the_same_seed_gives_the_same_numbers_and_another_others,
		each_number_below_the_limit_comes_about_as_often, limits_may_be_anything_but_0,
		a_limit_of_0_is_an_assertion, NULL});
}
