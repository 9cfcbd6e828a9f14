#include "config.h"

#include "base/arena.h"

#include <check.h>

#include "base/alloc.h"
#include "base/testing.h"

static struct arena arena;
static char bytes[100000];

static void
setup(void)
{
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
}

static void
teardown(void)
{
	arena_release(&arena);
}

START_TEST(pieces_stay_where_they_are_until_all_are_freed)
{
	static struct slice pieces[300];
	size_t before = alloc_used_bytes();
	size_t i;

	for (i = 0; i < 300; i++)
		pieces[i] = arena_copy(&arena, (struct slice){bytes + i, i});
	for (i = 0; i < 300; i++)
		ck_assert(slice_eq(pieces[i], (struct slice){bytes + i, i}));
	ck_assert_uint_eq(arena.held, 299 * 300 / 2);
	ck_assert_uint_le(arena.room, 2 * arena.held + 1024);
	arena_release(&arena);
	ck_assert_uint_eq(alloc_used_bytes(), before);
	ck_assert_uint_eq(arena.room, 0);
}
END_TEST

START_TEST(an_open_piece_grows_beside_closed_ones)
{
	struct slice first = arena_copy(&arena, SLICE("first"));
	struct slice large, last;
	size_t at;

	for (at = 0; at < sizeof(bytes); at += 100)
		arena_append(&arena, bytes + at, 100, sizeof(bytes));
	large = arena_close(&arena);
	last = arena_copy(&arena, SLICE("last"));
	ck_assert(slice_is(first, "first"));
	ck_assert(slice_eq(large, (struct slice){bytes, sizeof(bytes)}));
	ck_assert(slice_is(last, "last"));
}
END_TEST

START_TEST(an_open_piece_takes_no_more_room_than_it_can_need)
{
	arena_append(&arena, bytes, 60000, 60001);
	ck_assert_uint_lt(arena.room, 60001 + 64);
	arena_append(&arena, bytes + 60000, 1, 60001);
	ck_assert_uint_lt(arena.room, 60001 + 64);
	ck_assert(slice_eq(arena_close(&arena), (struct slice){bytes, 60001}));
}
END_TEST

START_TEST(memory_grows_with_the_received_bytes_not_the_announced_length)
{
	arena_append(&arena, bytes, 1000, (size_t)1 << 40);
	ck_assert_uint_lt(arena.room, 2200);
}
END_TEST

START_TEST(joined_arenas_are_one)
{
	struct arena into = {0}, from = {0};
	struct slice a = arena_copy(&into, SLICE("one")), b, c;

	b = arena_copy(&from, SLICE("two"));
	memset(arena_room(&from, 1000), 'x', 1000);
	arena_join(&into, &from);
	ck_assert_ptr_null(from.top);
	ck_assert_uint_eq(from.room, 0);
	ck_assert_uint_eq(into.held, 1006);
	c = arena_copy(&into, SLICE("three"));
	ck_assert_mem_eq(a.ptr, "one", 3);
	ck_assert_mem_eq(b.ptr, "two", 3);
	ck_assert_mem_eq(c.ptr, "three", 5);
	arena_join(&from, &into);
	arena_join(&from, &into); /* an empty one */
	ck_assert_mem_eq(a.ptr, "one", 3);
	arena_release(&from);
}
END_TEST

START_TEST(an_empty_piece_needs_no_memory)
{
	ck_assert_uint_eq(arena_copy(&arena, SLICE("")).len, 0);
	arena_append(&arena, bytes, 0, 10);
	ck_assert_uint_eq(arena_close(&arena).len, 0);
	ck_assert_uint_eq(arena.room, 0);
}
END_TEST

int
main(void)
{
	return testing_main("base/arena", setup, teardown,
	    (const TTest *[]){pieces_stay_where_they_are_until_all_are_freed,
		an_open_piece_grows_beside_closed_ones,
		an_open_piece_takes_no_more_room_than_it_can_need,
		memory_grows_with_the_received_bytes_not_the_announced_length,
		an_empty_piece_needs_no_memory, joined_arenas_are_one, NULL});
}
