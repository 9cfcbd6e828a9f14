#include "config.h"

#include "kv/list.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "kv/memory.h"

static struct kv_list *list;

static void
setup(void)
{
	list = kv_list_new(-2);
}

static void
teardown(void)
{
	kv_list_free(list);
	ck_assert_uint_eq(kv_used_bytes(), 0);
}

static struct slice
filled(char *room, size_t len)
{
	memset(room, 'x', len);
	return (struct slice){room, len};
}

static void
push(enum kv_list_end end, const char *str)
{
	kv_list_push(list, end, slice_of(str));
}

/* All values from the head on, separated by spaces. */
static const char *
shown(void)
{
	static char text[4096];
	struct kv_list_place place;
	size_t len = 0;
	bool more;

	for (more = kv_list_at_end(list, KV_LIST_HEAD, &place); more;
	     more = kv_list_step(&place, KV_LIST_HEAD)) {
		if (len > 0)
			text[len++] = ' ';
		memcpy(text + len, place.value.ptr, place.value.len);
		len += place.value.len;
	}
	text[len] = '\0';
	return text;
}

START_TEST(values_come_out_in_the_order_of_their_ends)
{
	push(KV_LIST_TAIL, "b");
	push(KV_LIST_HEAD, "a");
	push(KV_LIST_TAIL, "c");
	ck_assert_str_eq(shown(), "a b c");
	kv_list_pop(list, KV_LIST_HEAD);
	ck_assert_str_eq(shown(), "b c");
	kv_list_pop(list, KV_LIST_TAIL);
	ck_assert_str_eq(shown(), "b");
	kv_list_pop(list, KV_LIST_TAIL);
	ck_assert_uint_eq(kv_list_count(list), 0);
}
END_TEST

START_TEST(empty_and_binary_values_are_kept)
{
	struct kv_list_place place;

	kv_list_push(list, KV_LIST_HEAD, (struct slice){NULL, 0});
	kv_list_push(list, KV_LIST_TAIL, SLICE("\0\xff\r\n"));
	ck_assert(kv_list_at(list, 0, &place));
	ck_assert_uint_eq(place.value.len, 0);
	ck_assert(kv_list_at(list, 1, &place));
	ck_assert(slice_eq(place.value, SLICE("\0\xff\r\n")));
	ck_assert(!kv_list_at(list, 2, &place));
}
END_TEST

START_TEST(a_value_of_any_length_reads_from_both_ends)
{
	static const size_t lens[] = {0, 1, 127, 128, 16383, 16384, 2097151, 2097152, 5000000};
	struct kv_list_place place;
	char *room = malloc(5000000);

	for (size_t i = 0; i < 9; i++)
		kv_list_push(list, KV_LIST_TAIL, filled(room, lens[i]));
	ck_assert(kv_list_at_end(list, KV_LIST_TAIL, &place));
	for (size_t i = 9; i-- > 0;) {
		ck_assert_uint_eq(place.value.len, lens[i]);
		ck_assert(kv_list_step(&place, KV_LIST_TAIL) == (i > 0));
	}
	free(room);
}
END_TEST

START_TEST(it_is_packed_up_to_its_limit_and_again_at_half_of_it)
{
	char room[998];

	for (int i = 0; i < 8; i++)
		kv_list_push(list, KV_LIST_HEAD, filled(room, 998));
	ck_assert(kv_list_is_packed(list));
	kv_list_push(list, KV_LIST_HEAD, filled(room, 998));
	ck_assert(!kv_list_is_packed(list));
	ck_assert_ptr_null(kv_list_trim(list, KV_LIST_HEAD, 4));
	ck_assert(!kv_list_is_packed(list));
	kv_list_pop(list, KV_LIST_HEAD);
	ck_assert(kv_list_is_packed(list));
}
END_TEST

START_TEST(a_huge_value_is_never_packed)
{
	char room[9000];
	struct kv_list_place place;

	kv_list_push(list, KV_LIST_HEAD, filled(room, 9000));
	ck_assert(!kv_list_is_packed(list));
	ck_assert(kv_list_at(list, 0, &place));
	kv_list_set(list, &place, SLICE("small"));
	ck_assert(kv_list_is_packed(list));
	ck_assert(kv_list_at(list, 0, &place));
	kv_list_set(list, &place, filled(room, 9000));
	ck_assert(!kv_list_is_packed(list));
}
END_TEST

START_TEST(a_positive_limit_counts_values)
{
	kv_list_free(list);
	list = kv_list_new(3);
	push(KV_LIST_TAIL, "a");
	push(KV_LIST_TAIL, "b");
	push(KV_LIST_TAIL, "c");
	ck_assert(kv_list_is_packed(list));
	push(KV_LIST_HEAD, "0");
	ck_assert(!kv_list_is_packed(list));
	ck_assert_str_eq(shown(), "0 a b c");
}
END_TEST

START_TEST(values_are_inserted_beside_a_place_and_replaced)
{
	struct kv_list_place place;

	push(KV_LIST_TAIL, "a");
	push(KV_LIST_TAIL, "c");
	ck_assert(kv_list_at(list, 0, &place));
	kv_list_insert(list, &place, true, SLICE("b"));
	ck_assert(kv_list_at(list, 0, &place));
	kv_list_insert(list, &place, false, SLICE("0"));
	ck_assert_str_eq(shown(), "0 a b c");
	ck_assert(kv_list_at(list, 2, &place));
	kv_list_set(list, &place, SLICE("longer"));
	ck_assert_str_eq(shown(), "0 a longer c");
}
END_TEST

START_TEST(removing_goes_on_with_the_next_in_its_direction)
{
	struct kv_list_place place;

	for (const char *c = "a\0b\0c\0d\0"; *c != '\0'; c += 2)
		push(KV_LIST_TAIL, c);
	ck_assert(kv_list_at(list, 1, &place));
	ck_assert(kv_list_remove(list, &place, KV_LIST_HEAD));
	ck_assert(slice_is(place.value, "c"));
	ck_assert(kv_list_remove(list, &place, KV_LIST_TAIL));
	ck_assert(slice_is(place.value, "a"));
	ck_assert(!kv_list_remove(list, &place, KV_LIST_TAIL));
	ck_assert_str_eq(shown(), "d");
}
END_TEST

START_TEST(a_copy_is_its_own)
{
	struct kv_list *was = list;

	push(KV_LIST_TAIL, "a");
	push(KV_LIST_TAIL, "b");
	list = kv_list_copy(was);
	kv_list_pop(was, KV_LIST_HEAD);
	kv_list_free(was);
	push(KV_LIST_HEAD, "0");
	ck_assert_str_eq(shown(), "0 a b");
}
END_TEST

START_TEST(freeing_in_slices_takes_about_as_many_values_as_it_may)
{
	size_t budget = 1000;
	int slices = 1;

	for (int i = 0; i < 100000; i++)
		push(KV_LIST_TAIL, "some value of a list");
	while (!kv_list_free_some(list, &budget)) {
		ck_assert_uint_eq(budget, 0);
		budget = 1000;
		slices++;
	}
	ck_assert_int_ge(slices, 50);
	ck_assert_int_le(slices, 100);
	list = NULL;
}
END_TEST

START_TEST(a_large_trimmed_part_is_returned_to_the_caller)
{
	struct kv_list *rest;
	struct kv_list_place place;

	for (int i = 0; i < 100000; i++)
		push(KV_LIST_TAIL, i < 60000 ? "first" : "second");
	rest = kv_list_trim(list, KV_LIST_HEAD, 60000);
	ck_assert_ptr_nonnull(rest);
	ck_assert_uint_ge(kv_list_count(rest), 58000);
	kv_list_free(rest);
	ck_assert_uint_eq(kv_list_count(list), 40000);
	ck_assert(kv_list_at(list, 0, &place));
	ck_assert(slice_is(place.value, "second"));
	rest = kv_list_trim(list, KV_LIST_TAIL, 39999);
	ck_assert_ptr_nonnull(rest);
	kv_list_free(rest);
	ck_assert_str_eq(shown(), "second");
	ck_assert_ptr_null(kv_list_trim(list, KV_LIST_TAIL, 1));
	ck_assert_str_eq(shown(), "");
}
END_TEST

/* A queue in one chunk, which is nearly full and stays so. */
START_TEST(a_queue_does_not_grow)
{
	size_t bytes = 0;

	for (int i = 0; i < 350; i++)
		push(KV_LIST_HEAD, "some value of a list");
	for (int i = 0; i < 100000; i++) {
		push(KV_LIST_HEAD, "some value of a list");
		kv_list_pop(list, KV_LIST_TAIL);
		if (kv_list_bytes(list) > bytes)
			bytes = kv_list_bytes(list);
	}
	ck_assert(kv_list_is_packed(list));
	/* Twice the room of a full chunk, as the allocator rounds it. */
	ck_assert_uint_le(bytes, 21000);
}
END_TEST

START_TEST(memory_is_given_back_when_most_values_are_gone)
{
	struct kv_list_place place;

	for (int i = 0; i < 100000; i++)
		push(KV_LIST_TAIL, i % 100 == 0 ? "keep" : "some value of a list");
	for (bool more = kv_list_at_end(list, KV_LIST_HEAD, &place); more;)
		more = slice_is(place.value, "keep") ? kv_list_step(&place, KV_LIST_HEAD)
						     : kv_list_remove(list, &place, KV_LIST_HEAD);
	ck_assert_uint_eq(kv_list_count(list), 1000);
	ck_assert_uint_le(kv_list_bytes(list), 100000);
}
END_TEST

/* The model: an array of numbers; each value is made from its number. */
#define MODEL_MAX 4000

static uint64_t model[MODEL_MAX + 1];
static size_t model_count;
static uint64_t seed;

static struct slice
value_of(uint64_t n)
{
	static char bytes[20000];
	size_t len = n % 97 == 0 ? n % 20000 : n % 13 == 0 ? n % 700 : n % 40;

	memset(bytes, (int)(n >> 16 & 255), len);
	if (len >= sizeof(n))
		memcpy(bytes, &n, sizeof(n));
	return (struct slice){bytes, len};
}

static uint64_t
below(uint64_t limit)
{
	return testing_random(&seed) % limit;
}

static void
model_insert(size_t index, uint64_t n)
{
	memmove(model + index + 1, model + index, (model_count - index) * sizeof(*model));
	model[index] = n;
	model_count++;
}

static void
model_remove(size_t index, size_t count)
{
	model_count -= count;
	memmove(model + index, model + index + count, (model_count - index) * sizeof(*model));
}

static void
check_place(bool found, const struct kv_list_place *place, size_t index)
{
	ck_assert(found == (index < model_count));
	if (found)
		ck_assert(slice_eq(place->value, value_of(model[index])));
}

static void
check_all(enum kv_list_end from)
{
	struct kv_list_place place;
	bool more = kv_list_at_end(list, from, &place);

	ck_assert_uint_eq(kv_list_count(list), model_count);
	for (size_t i = 0; i < model_count; i++) {
		ck_assert(more);
		check_place(true, &place, from == KV_LIST_HEAD ? i : model_count - 1 - i);
		more = kv_list_step(&place, from);
	}
	ck_assert(!more);
}

static void
change_an_end(uint64_t what, enum kv_list_end end)
{
	size_t many;
	uint64_t n;

	if (what < 2 && model_count < MODEL_MAX) {
		n = testing_random(&seed);
		kv_list_push(list, end, value_of(n));
		model_insert(end == KV_LIST_HEAD ? 0 : model_count, n);
	} else if (what == 2 && model_count > 0) {
		kv_list_pop(list, end);
		model_remove(end == KV_LIST_HEAD ? 0 : model_count - 1, 1);
	} else if (what == 3 && below(200) == 0) {
		many = (size_t)below(model_count + 2);
		kv_list_free(kv_list_trim(list, end, many));
		many = many < model_count ? many : model_count;
		model_remove(end == KV_LIST_HEAD ? 0 : model_count - many, many);
	}
}

static void
change_the_middle(uint64_t what, enum kv_list_end end)
{
	size_t index = (size_t)below(model_count);
	struct kv_list_place place;
	uint64_t n = testing_random(&seed);
	bool more;

	ck_assert(kv_list_at(list, index, &place));
	check_place(true, &place, index);
	if (what == 4 && model_count < MODEL_MAX) {
		kv_list_insert(list, &place, end == KV_LIST_TAIL, value_of(n));
		model_insert(index + (end == KV_LIST_TAIL), n);
	} else if (what == 5) {
		kv_list_set(list, &place, value_of(n));
		model[index] = n;
	} else if (what == 6) {
		more = kv_list_remove(list, &place, end);
		model_remove(index, 1);
		check_place(more, &place, end == KV_LIST_HEAD ? index : index - 1);
	} else {
		more = kv_list_step(&place, end);
		check_place(more, &place, end == KV_LIST_HEAD ? index + 1 : index - 1);
	}
}

static void
run_model(int32_t size, int operations)
{
	kv_list_free(list);
	list = kv_list_new(size);
	model_count = 0;
	seed = (uint64_t)(uint32_t)size;
	for (int i = 0; i < testing_steps(operations); i++) {
		/* The list alternately grows and shrinks. */
		uint64_t what = below(i / 5000 % 2 == 0 ? 7 : 8);
		enum kv_list_end end = below(2) == 0 ? KV_LIST_HEAD : KV_LIST_TAIL;

		if (what < 4)
			change_an_end(i / 5000 % 2 == 1 && what == 1 ? 2 : what, end);
		else if (model_count > 0)
			change_the_middle(what, end);
		if (i % 1000 == 0) {
			struct kv_list *was = list;

			check_all(KV_LIST_TAIL);
			list = kv_list_copy(was);
			kv_list_free(was);
			check_all(KV_LIST_HEAD);
		}
	}
}

START_TEST(it_does_what_a_plain_array_does)
{
	run_model(-2, 130000);
	run_model(-1, 60000);
	run_model(7, 60000);
	run_model(1, 20000);
}
END_TEST

int
main(void)
{
	return testing_main("kv/list", setup, teardown,
	    (const TTest *[]){values_come_out_in_the_order_of_their_ends,
		empty_and_binary_values_are_kept, a_value_of_any_length_reads_from_both_ends,
		it_is_packed_up_to_its_limit_and_again_at_half_of_it, a_huge_value_is_never_packed,
		a_positive_limit_counts_values, values_are_inserted_beside_a_place_and_replaced,
		removing_goes_on_with_the_next_in_its_direction, a_copy_is_its_own,
		freeing_in_slices_takes_about_as_many_values_as_it_may,
		a_large_trimmed_part_is_returned_to_the_caller, a_queue_does_not_grow,
		memory_is_given_back_when_most_values_are_gone, it_does_what_a_plain_array_does,
		NULL});
}
