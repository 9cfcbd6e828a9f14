#include "config.h"

#include "base/allocator.h"

#include <check.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "base/testing.h"

#define MIB ((size_t)1 << 20)

START_TEST(it_names_itself_as_redis_does)
{
	if (HAVE_JEMALLOC)
		ck_assert(strncmp(allocator_name(), "jemalloc-5.", 11) == 0);
	else
		ck_assert_str_eq(allocator_name(), "libc");
}
END_TEST

START_TEST(its_figures_contain_each_other)
{
	void *block = xmalloc(3 * MIB);
	struct allocator_figures f;

	memset(block, 1, 3 * MIB);
	if (allocator_figures(&f)) {
		ck_assert(HAVE_JEMALLOC);
		ck_assert_uint_le(f.allocated, f.active);
		ck_assert_uint_le(f.active, f.resident);
	} else {
		ck_assert(!HAVE_JEMALLOC);
	}
	xfree(block);
}
END_TEST

static void
pause_briefly(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Of this process, from the links of the folder that lists them. */
static unsigned long
count_threads(void)
{
	struct stat st;

	ck_assert_int_eq(stat("/proc/self/task", &st), 0);
	return (unsigned long)st.st_nlink - 2;
}

START_TEST(a_purge_ends_and_may_be_left_before)
{
	unsigned long threads = count_threads();
	struct allocator_purge *purge = allocator_purge_start();

	while (!allocator_purge_is_over(purge))
		pause_briefly();
	allocator_purge_free(purge);
	allocator_purge_free(allocator_purge_start());
	while (count_threads() > threads)
		pause_briefly();
}
END_TEST

START_TEST(a_turn_with_nothing_freed_wants_no_other)
{
	ck_assert_uint_eq(allocator_turn(10 * MIB, 1000000), UINT64_MAX);
	ck_assert_uint_eq(allocator_turn(20 * MIB, 2000000), UINT64_MAX);
}
END_TEST

int
main(void)
{
	return testing_main("base/allocator", NULL, NULL,
	    (const TTest *[]){it_names_itself_as_redis_does, its_figures_contain_each_other,
		a_purge_ends_and_may_be_left_before, a_turn_with_nothing_freed_wants_no_other,
		NULL});
}
