#include "config.h"

#include "link/engine_channels.h"

#include <stdio.h>
#include <string.h>

#include "base/testing.h"

static struct engine_channels channels;

static void
setup(void)
{
	engine_channels_init(&channels);
}

static void
teardown(void)
{
	engine_channels_release(&channels);
}

static struct engine_channel *
put(const char *name, uint32_t session)
{
	return engine_channels_put(&channels, slice_of(name), session);
}

static struct engine_channel *
find(const char *name)
{
	return engine_channels_find(&channels, slice_of(name));
}

START_TEST(a_channel_is_found_by_its_whole_name)
{
	struct engine_channel *a = put("a", 1), *empty = put("", 1);
	struct engine_channel *nul = engine_channels_put(&channels, SLICE("a\0b"), 1);

	ck_assert_ptr_eq(find("a"), a);
	ck_assert_ptr_eq(find(""), empty);
	ck_assert_ptr_eq(engine_channels_find(&channels, SLICE("a\0b")), nul);
	ck_assert_ptr_null(find("b"));
	ck_assert_ptr_null(find("aa"));
	ck_assert(slice_eq(engine_channel_name(nul), SLICE("a\0b")));
	ck_assert_uint_eq(engine_channels_count(&channels), 3);
	ck_assert_uint_eq(a->number, 0);
	ck_assert(!a->is_told);
}
END_TEST

START_TEST(a_channel_that_is_loaded_again_keeps_what_is_known_of_it)
{
	struct engine_channel *a = put("a", 1);

	a->number = 7;
	ck_assert_ptr_eq(put("a", 2), a);
	ck_assert_uint_eq(a->number, 7);
	ck_assert_uint_eq(a->session, 2);
	ck_assert_uint_eq(engine_channels_count(&channels), 1);
}
END_TEST

START_TEST(channels_of_older_sessions_come_first)
{
	ck_assert_ptr_null(engine_channels_older(&channels, 1));
	put("a", 1);
	put("b", 1);
	put("c", 1);
	ck_assert_ptr_null(engine_channels_older(&channels, 1));
	put("b", 2);
	put("d", 2);
	ck_assert_ptr_eq(engine_channels_older(&channels, 2), find("a"));
	put("a", 2);
	ck_assert_ptr_eq(engine_channels_older(&channels, 2), find("c"));
	engine_channels_remove(&channels, find("c"));
	ck_assert_ptr_null(engine_channels_older(&channels, 2));
	ck_assert_ptr_null(find("c"));
	ck_assert_uint_eq(engine_channels_count(&channels), 3);
	ck_assert_ptr_nonnull(engine_channels_older(&channels, 3));
}
END_TEST

START_TEST(each_channel_has_its_turn)
{
	ck_assert_ptr_null(engine_channels_rotate(&channels));
	put("a", 1);
	put("b", 1);
	put("c", 1);
	for (int i = 0; i < 9; i++)
		ck_assert_ptr_eq(engine_channels_rotate(&channels), find(&"a\0b\0c"[i % 3 * 2]));
}
END_TEST

START_TEST(nothing_is_left_after_a_clear)
{
	char name[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		put(name, (uint32_t)(1 + i / 500));
	}
	engine_channels_clear(&channels);
	ck_assert_uint_eq(engine_channels_count(&channels), 0);
	ck_assert_ptr_null(find("7"));
	ck_assert_ptr_null(engine_channels_older(&channels, 5));
	ck_assert_ptr_null(engine_channels_rotate(&channels));
	ck_assert_ptr_nonnull(put("7", 3));
}
END_TEST

int
main(void)
{
	return testing_main("link/engine_channels", setup, teardown,
	    (const TTest *[]){a_channel_is_found_by_its_whole_name,
		a_channel_that_is_loaded_again_keeps_what_is_known_of_it,
		channels_of_older_sessions_come_first, each_channel_has_its_turn,
		nothing_is_left_after_a_clear, NULL});
}
