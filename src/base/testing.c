#include "config.h"

#include "base/testing.h"

#include <limits.h>
#include <stdlib.h>

int
testing_main(
    const char *name, void (*setup)(void), void (*teardown)(void), const TTest *const tests[])
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner;
	int failed;
	size_t i;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	for (i = 0; tests[i] != NULL; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV); /* CK_FORK is read by Check itself */
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

uint64_t
testing_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

int
testing_steps(int n)
{
	const char *text = getenv("FANFARE_FEW_STEPS");
	long divisor = text != NULL ? strtol(text, NULL, 10) : 1;

	return divisor > 1 && divisor <= INT_MAX ? n / (int)divisor : n;
}

int
testing_stride(int all, int few)
{
	return testing_steps(20) > 1 ? all : few;
}
