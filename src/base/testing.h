#ifndef BASE_TESTING_H
#define BASE_TESTING_H

#include <check.h>
#include <stdint.h>

/*
 * Check writes to a file for each assertion that holds, to say where a test was when it crashed. In
 * model tests this takes most of the time. AddressSanitizer and valgrind say where it crashed.
 */
#define _mark_point(file, line) ((void)0)

/*
 * Runs the tests (NULL-terminated) as one suite, with setup and teardown (or NULL) around each;
 * prints Check's summary line and returns the exit status of main. Each test may take 120 s.
 */
int testing_main(
    const char *name, void (*setup)(void), void (*teardown)(void), const TTest *const tests[]);

/* The number of steps of a model test: n, or n / N if FANFARE_FEW_STEPS=N (valgrind). */
int testing_steps(int n);

/* The distance between the cases that a test tries: all, or few if N is 20 or more (valgrind). */
int testing_stride(int all, int few);

/* A seeded generator for model tests (SplitMix64); the same seed gives the same numbers. */
uint64_t testing_random(uint64_t *state);

#endif
