#include "config.h"

#include "base/alloc.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"

START_TEST(what_is_allocated_is_counted_until_it_is_freed)
{
	size_t before = alloc_used_bytes();
	void *ptr = xmalloc(1000);

	ck_assert_uint_ge(alloc_used_bytes(), before + 1000);
	xfree(ptr);
	ck_assert_uint_eq(alloc_used_bytes(), before);
}
END_TEST

START_TEST(a_grown_block_is_counted_at_its_new_size_and_keeps_its_bytes)
{
	size_t before = alloc_used_bytes();
	char *ptr = xrealloc(NULL, 4);

	memcpy(ptr, "abc", 4);
	ptr = xrealloc(ptr, 100000);
	ck_assert_str_eq(ptr, "abc");
	ck_assert_uint_ge(alloc_used_bytes(), before + 100000);
	ck_assert_uint_lt(alloc_used_bytes(), before + 200000);
	ptr = xrealloc(ptr, 10);
	ck_assert_uint_lt(alloc_used_bytes(), before + 50000);
	xfree(ptr);
	ck_assert_uint_eq(alloc_used_bytes(), before);
}
END_TEST

START_TEST(the_peak_stays_when_memory_is_given_back)
{
	size_t before = alloc_used_bytes();

	xfree(xmalloc(3000000));
	ck_assert_uint_ge(alloc_peak_bytes(), before + 3000000);
	ck_assert_uint_eq(alloc_used_bytes(), before);
}
END_TEST

START_TEST(nothing_at_all_can_be_allocated_copied_and_freed)
{
	xfree(NULL);
	xfree(xmalloc(0));
	xfree(xcalloc(0, 8));
	xfree(xcalloc(8, 0));
	xfree(xrealloc(xmalloc(5), 0));
	xfree(xmemdup(NULL, 0));
}
END_TEST

START_TEST(copies_and_formats_are_whole)
{
	char *copy = xmemdup("a\0b", 3);
	char *str = xstrdup("channel");
	char *text = xasprintf("%s:%d", "user", 42);
	int *zeros = xcalloc(3, sizeof(int));

	ck_assert_mem_eq(copy, "a\0b", 3);
	ck_assert_str_eq(str, "channel");
	ck_assert_str_eq(text, "user:42");
	ck_assert_int_eq(zeros[0] | zeros[1] | zeros[2], 0);
	xfree(copy);
	xfree(str);
	xfree(text);
	xfree(zeros);
}
END_TEST

/* Small blocks, large ones, and growth and shrinking across the limit of 1 MiB. */
START_TEST(a_block_that_grows_keeps_its_bytes_and_is_counted)
{
	static const size_t lens[] = {
	    1, 100, 1 << 20, (1 << 20) + 1, 5 << 20, 64 << 20, 3 << 20, 1 << 20, 70000, 7, 8};
	size_t before = alloc_used_bytes(), len = 0;
	char *ptr = NULL;

	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		size_t kept = len < lens[i] ? len : lens[i];

		ptr = xgrow(ptr, len, lens[i]);
		for (size_t at = 0; at < kept; at += 4093)
			ck_assert_int_eq((unsigned char)ptr[at], at % 251);
		len = lens[i];
		for (size_t at = 0; at < len; at++)
			ptr[at] = (char)(at % 251);
		ck_assert_uint_ge(alloc_used_bytes(), before + len);
		ck_assert_uint_lt(alloc_used_bytes(), before + len + len / 4 + (128 << 10));
	}
	xgrow_free(ptr, len);
	ck_assert_uint_eq(alloc_used_bytes(), before);
	xgrow_free(NULL, 0);
	xgrow_free(xgrow(NULL, 0, 2 << 20), 2 << 20);
	ck_assert_uint_eq(alloc_used_bytes(), before);
}
END_TEST

int
main(void)
{
	alloc_init();
	return testing_main("base/alloc", NULL, NULL,
	    (const TTest *[]){what_is_allocated_is_counted_until_it_is_freed,
		a_grown_block_is_counted_at_its_new_size_and_keeps_its_bytes,
		the_peak_stays_when_memory_is_given_back,
		nothing_at_all_can_be_allocated_copied_and_freed, copies_and_formats_are_whole,
		a_block_that_grows_keeps_its_bytes_and_is_counted, NULL});
}
