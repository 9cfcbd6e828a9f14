#include "config.h"

#include <stdlib.h>

#include "base/testing.h"
#include "core/testing_core.h"

static size_t allocated, released;
static size_t wanted;

static void *
allocate(void *arg, size_t len)
{
	ck_assert_ptr_eq(arg, &allocated);
	ck_assert_uint_gt(len, 0);
	allocated++;
	return malloc(len);
}

static void *
reallocate(void *arg, void *ptr, size_t len)
{
	ck_assert_ptr_eq(arg, &allocated);
	return realloc(ptr, len);
}

static void
release(void *arg, void *ptr)
{
	ck_assert_ptr_eq(arg, &allocated);
	released++;
	free(ptr);
}

static void
out_of_memory(void *arg, size_t len)
{
	*(size_t *)arg = len;
}

/* One test, because the setup is that of the process. */
START_TEST(a_process_is_set_up_once_with_an_allocator_of_its_own)
{
	static const uint64_t seed[2] = {1, 2};
	struct fanfare_setup setup = {.size = sizeof(setup),
	    .allocator = {.allocate = allocate, .arg = &allocated},
	    .out_of_memory = out_of_memory,
	    .out_of_memory_arg = &wanted,
	    .hash_seed = seed};
	struct fanfare_hub *hub;
	struct fanfare_subscriber *s;

	ck_assert_result(fanfare_setup(NULL), FANFARE_INVALID);
	ck_assert_result(fanfare_setup(&setup), FANFARE_INVALID);
	setup.allocator.reallocate = reallocate;
	ck_assert_result(fanfare_setup(&setup), FANFARE_INVALID);
	setup.allocator.release = release;
	ck_assert_ok(fanfare_setup(&setup));
	ck_assert_result(fanfare_setup(&setup), FANFARE_BUSY);
	hub = testing_hub(NULL, "a:history-size 5 history-ttl 5");
	s = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	testing_publish(hub, "a", "1");
	ck_assert_str_eq(testing_read(s), "a=1 ");
	ck_assert_uint_eq(fanfare_memory(), 0);
	ck_assert_ok(fanfare_hub_free(hub));
	ck_assert_uint_gt(allocated, 10);
	ck_assert_uint_eq(allocated, released);
	ck_assert_uint_eq(wanted, 0);
}
END_TEST

int
main(void)
{
	return testing_main("core/setup", NULL, NULL,
	    (const TTest *[]){a_process_is_set_up_once_with_an_allocator_of_its_own, NULL});
}
