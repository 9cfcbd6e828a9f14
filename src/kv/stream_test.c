#include "config.h"

#include "kv/stream.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "kv/memory.h"
#include "kv/stream_group.h"

static const struct kv_limits limits = {.stream_node_bytes = 4096, .stream_node_entries = 100};

static struct kv_stream *stream;

static void
setup(void)
{
	stream = kv_stream_new();
}

static void
teardown(void)
{
	kv_stream_free(stream);
	ck_assert_uint_eq(kv_used_bytes(), 0);
}

static void
add_with(uint64_t ms, uint64_t seq, const struct kv_limits *with)
{
	const struct slice pairs[] = {SLICE("name"), SLICE("value")};
	const struct stream_fields fields = {pairs, 1};

	kv_stream_append(stream, (struct stream_id){ms, seq}, &fields, with);
}

static void
add(uint64_t ms, uint64_t seq)
{
	add_with(ms, seq, &limits);
}

START_TEST(a_new_stream_is_empty)
{
	struct stream_cursor c;
	struct stream_entry entry;

	ck_assert_uint_eq(kv_stream_length(stream), 0);
	ck_assert_uint_eq(kv_stream_units(stream), 0);
	ck_assert(stream_id_is_zero(kv_stream_first_id(stream)));
	ck_assert(stream_id_is_zero(kv_stream_top_id(stream)));
	kv_stream_seek(stream, STREAM_ID_MIN, false, &c);
	ck_assert(!stream_cursor_next(&c, &entry));
	ck_assert(!stream_cursor_prev(&c, &entry));
	ck_assert(!kv_stream_find(stream, STREAM_ID_MIN, &entry));
	ck_assert(!kv_stream_remove(stream, STREAM_ID_MAX));
}
END_TEST

START_TEST(a_node_is_full_after_so_many_entries)
{
	for (uint64_t i = 1; i <= 100; i++)
		add(i, 0);
	ck_assert_uint_eq(kv_stream_node_count(stream), 1);
	add(101, 0);
	ck_assert_uint_eq(kv_stream_node_count(stream), 2);
}
END_TEST

START_TEST(removed_entries_count_until_the_node_is_full)
{
	for (uint64_t i = 1; i <= 100; i++)
		add(i, 0);
	ck_assert(kv_stream_remove(stream, (struct stream_id){50, 0}));
	add(101, 0);
	ck_assert_uint_eq(kv_stream_node_count(stream), 2);
}
END_TEST

START_TEST(a_node_is_full_at_so_many_bytes)
{
	struct kv_limits small = {.stream_node_bytes = sizeof(struct stream_node) + 40};
	uint64_t i;

	for (i = 1; i <= 4; i++)
		add_with(i, 0, &small);
	ck_assert_uint_eq(kv_stream_node_count(stream), 2);
}
END_TEST

START_TEST(without_limits_there_is_one_node)
{
	static const struct kv_limits none = {.stream_node_bytes = 0};

	for (uint64_t i = 1; i <= 5000; i++)
		add_with(i, 0, &none);
	ck_assert_uint_eq(kv_stream_node_count(stream), 1);
	ck_assert(kv_stream_is_sound(stream));
}
END_TEST

START_TEST(the_highest_ids_can_be_stored)
{
	struct stream_entry entry;

	add(1, UINT64_MAX);
	add(UINT64_MAX - 1, UINT64_MAX);
	add(UINT64_MAX, 0);
	add(UINT64_MAX, UINT64_MAX);
	ck_assert(kv_stream_is_sound(stream));
	ck_assert(kv_stream_find(stream, (struct stream_id){1, UINT64_MAX}, &entry));
	ck_assert(kv_stream_find(stream, (struct stream_id){UINT64_MAX, 0}, &entry));
	ck_assert(kv_stream_find(stream, STREAM_ID_MAX, &entry));
	ck_assert(kv_stream_remove(stream, STREAM_ID_MAX));
	ck_assert(!kv_stream_find(stream, STREAM_ID_MAX, &entry));
}
END_TEST

START_TEST(ids_have_neighbours_but_at_the_ends)
{
	struct stream_id id = {4, UINT64_MAX};

	ck_assert(stream_id_next(&id));
	ck_assert(id.ms == 5 && id.seq == 0);
	ck_assert(stream_id_prev(&id));
	ck_assert(id.ms == 4 && id.seq == UINT64_MAX);
	id = STREAM_ID_MAX;
	ck_assert(!stream_id_next(&id));
	id = STREAM_ID_MIN;
	ck_assert(!stream_id_prev(&id));
}
END_TEST

/* The entries ever added up to an id; -1 if unknown. */
static int
count_upto(uint64_t ms, uint64_t seq)
{
	uint64_t count;

	return kv_stream_count_upto(stream, (struct stream_id){ms, seq}, &count) ? (int)count : -1;
}

START_TEST(entries_up_to_an_id_are_known_at_the_ends_of_the_stream)
{
	ck_assert_int_eq(count_upto(5, 0), 0);
	for (uint64_t i = 1; i <= 5; i++)
		add(i, 0);
	ck_assert_int_eq(count_upto(0, 1), 0);
	ck_assert_int_eq(count_upto(1, 0), 1);
	ck_assert_int_eq(count_upto(2, 0), -1);
	ck_assert_int_eq(count_upto(5, 0), 5);
	ck_assert_int_eq(count_upto(6, 0), -1);
	ck_assert(kv_stream_remove(stream, (struct stream_id){3, 0}));
	ck_assert_int_eq(count_upto(1, 0), -1);
	ck_assert_int_eq(count_upto(5, 0), 5);
	ck_assert(kv_stream_has_gap_from(stream, (struct stream_id){3, 0}));
	ck_assert(!kv_stream_has_gap_from(stream, (struct stream_id){3, 1}));
	ck_assert(kv_stream_remove(stream, (struct stream_id){1, 0}));
	ck_assert(kv_stream_has_gap_from(stream, STREAM_ID_MIN));
	ck_assert(kv_stream_remove(stream, (struct stream_id){2, 0}));
	ck_assert(!kv_stream_has_gap_from(stream, STREAM_ID_MIN)); /* all before the first entry */
	ck_assert_uint_eq(
	    kv_stream_trim(stream, &(struct stream_trim){.by = STREAM_TRIM_LENGTH}), 2);
	ck_assert_int_eq(count_upto(4, 0), 5);
	ck_assert(!kv_stream_has_gap_from(stream, STREAM_ID_MIN));
}
END_TEST

/* Groups with pending entries, half of each consumer. */
static struct stream_group *
add_group(const char *name, uint64_t pending)
{
	struct stream_group *group =
	    stream_groups_add(kv_stream_groups(stream), slice_of(name), STREAM_ID_MIN, -1);
	struct stream_consumer *one = stream_group_add_consumer(group, SLICE("one"), 1);
	struct stream_consumer *two = stream_group_add_consumer(group, SLICE(""), 1);

	for (uint64_t i = 0; i < pending; i++)
		(void)stream_group_assign(group, (struct stream_id){i, 1}, i % 2 == 0 ? one : two);
	return group;
}

START_TEST(groups_and_consumers_are_sorted_by_name)
{
	struct stream_groups *groups = kv_stream_groups(stream);

	add_group("b", 0);
	add_group("a", 0);
	add_group("ab", 0);
	ck_assert_uint_eq(groups->count, 3);
	ck_assert(slice_is(stream_group_name(groups->at[0]), "a"));
	ck_assert(slice_is(stream_group_name(groups->at[1]), "ab"));
	ck_assert(slice_is(stream_group_name(groups->at[2]), "b"));
	ck_assert_uint_eq(groups->at[0]->consumers[0]->name_len, 0);
	ck_assert_ptr_null(stream_groups_find(groups, SLICE("aa")));
	ck_assert_ptr_null(stream_group_consumer(groups->at[0], SLICE("on")));
}
END_TEST

START_TEST(a_large_stream_is_freed_in_steps)
{
	struct kv_stream *copy;
	size_t budget = 0, rounds = 0;
	bool done = false;

	for (uint64_t i = 1; i <= 1000; i++)
		add(i, 0);
	add_group("g", 1000);
	add_group("h", 1000);
	ck_assert_uint_eq(kv_stream_units(stream), 3006);
	copy = kv_stream_copy(stream);
	for (; !done; rounds++) {
		budget = 100;
		done = kv_stream_free_some(copy, &budget);
	}
	ck_assert_uint_gt(rounds, 30);
}
END_TEST

START_TEST(groups_without_consumers_are_freed_in_steps)
{
	char name[BYTES_U64_MAX] = "";
	size_t budget, rounds = 0;
	struct kv_stream *copy;
	bool done = false;

	for (uint64_t i = 0; i < 1000; i++) {
		size_t len = bytes_from_u64(name, i);

		(void)stream_groups_add(
		    kv_stream_groups(stream), (struct slice){name, len}, STREAM_ID_MIN, 0);
	}
	copy = kv_stream_copy(stream);
	for (; !done; rounds++) {
		budget = 100;
		done = kv_stream_free_some(copy, &budget);
	}
	ck_assert_uint_ge(rounds, 10);
}
END_TEST

START_TEST(a_group_is_taken_out_with_all_that_it_has)
{
	struct stream_group *group = add_group("g", 10);
	struct kv_stream *taken;

	add_group("h", 10);
	taken = kv_stream_take_group(stream, group);
	ck_assert_ptr_null(stream_groups_find(kv_stream_groups(stream), SLICE("g")));
	ck_assert_ptr_eq(stream_groups_find(kv_stream_groups(taken), SLICE("g")), group);
	ck_assert_uint_eq(kv_stream_units(taken), 13);
	kv_stream_free(taken);
}
END_TEST

START_TEST(a_stream_knows_the_bytes_of_all_its_blocks)
{
	for (uint64_t i = 1; i <= 1000; i++)
		add(i, 0);
	add_group("g", 1000);
	ck_assert_uint_eq(kv_stream_bytes(stream), kv_used_bytes());
	for (uint64_t i = 1; i <= 1000; i += 3)
		ck_assert(kv_stream_remove(stream, (struct stream_id){i, 0}));
	ck_assert_uint_eq(kv_stream_bytes(stream), kv_used_bytes());
	(void)kv_stream_trim(stream, &(struct stream_trim){.by = STREAM_TRIM_LENGTH, .keep = 100});
	ck_assert_uint_eq(kv_stream_bytes(stream), kv_used_bytes());
}
END_TEST

int
main(void)
{
	return testing_main("kv/stream", setup, teardown,
	    (const TTest *[]){a_new_stream_is_empty, a_node_is_full_after_so_many_entries,
		removed_entries_count_until_the_node_is_full, a_node_is_full_at_so_many_bytes,
		without_limits_there_is_one_node, the_highest_ids_can_be_stored,
		ids_have_neighbours_but_at_the_ends,
		entries_up_to_an_id_are_known_at_the_ends_of_the_stream,
		groups_and_consumers_are_sorted_by_name, a_large_stream_is_freed_in_steps,
		groups_without_consumers_are_freed_in_steps,
		a_group_is_taken_out_with_all_that_it_has,
		a_stream_knows_the_bytes_of_all_its_blocks, NULL});
}
