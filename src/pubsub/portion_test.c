#include "config.h"

#include "pubsub/portion.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/testing_outbox.h"

static struct portions portions;

static void
setup(void)
{
	ob_setup();
	portions_init(&portions);
}

static void
teardown(void)
{
	portions_drop_all(&portions);
	ck_assert_uint_eq(portions.bytes, 0);
	ob_teardown();
}

static struct slice
key_of(const uint64_t *seqs, uint32_t count)
{
	return (struct slice){(const char *)seqs, count * sizeof(*seqs)};
}

/* A portion of these messages, of 4 bytes each. */
static struct portion *
add(uint8_t form, const uint64_t *seqs, uint32_t count, size_t bytes)
{
	struct portion *portion = portions_add(&portions, form, key_of(seqs, count), bytes);

	for (uint32_t i = 0; i < count; i++) {
		struct frame frame = frame_log_write(ob.messages, 4, 9);
		char text[12];

		snprintf(text, sizeof(text), "%03u.", (unsigned)seqs[i] % 1000);
		memcpy(frame.ptr, text, 4);
		portion_add(&portions, portion, &frame, 9);
	}
	return portion;
}

START_TEST(a_portion_is_found_by_its_form_and_all_of_its_messages)
{
	static const uint64_t seqs[] = {5, 7, 8}, other[] = {5, 6, 8};
	const struct portion *portion = add(1, seqs, 3, 100);

	ck_assert_ptr_eq(portions_find(&portions, 1, key_of(seqs, 3)), portion);
	ck_assert_ptr_null(portions_find(&portions, 0, key_of(seqs, 3)));
	ck_assert_ptr_null(portions_find(&portions, 1, key_of(seqs, 2)));
	ck_assert_ptr_null(portions_find(&portions, 1, key_of(other, 3)));
}
END_TEST

START_TEST(every_outbox_gets_all_of_it_in_order)
{
	static const uint64_t seqs[] = {5, 7, 8};
	struct portion *portion = add(1, seqs, 3, 100);

	portion_push(portion, &ob.outbox);
	portion_push(portion, &ob.outbox);
	portions_drop_all(&portions);
	ck_assert_str_eq(ob_take_all(), "005.007.008.005.007.008.");
}
END_TEST

START_TEST(a_message_that_the_form_cannot_carry_is_missed_in_its_place)
{
	static const uint64_t seqs[] = {5, 7}, more[] = {8};
	struct portion *portion;

	ob_set_policy(OUTBOX_DISCONNECT, true);
	portion_push(add(0, seqs, 2, 100), &ob.outbox);
	portion = portions_add(&portions, 0, key_of(more, 1), 100);
	portion_add(&portions, portion, NULL, 6);
	portion_push(portion, &ob.outbox);
	ck_assert_uint_eq(ob.drops[6], 1);
	ck_assert_str_eq(ob_take_all(), "005.007.<1>");
}
END_TEST

START_TEST(the_least_recently_used_make_room_for_others)
{
	uint64_t seq = 1;

	for (seq = 1; seq <= PORTIONS_MAX; seq++)
		add(0, &seq, 1, 1000);
	seq = 1;
	ck_assert_ptr_nonnull(portions_find(&portions, 0, key_of(&seq, 1)));
	seq = 100;
	add(0, &seq, 1, 1000);
	ck_assert_uint_eq(portions.count, PORTIONS_MAX);
	seq = 1;
	ck_assert_ptr_nonnull(portions_find(&portions, 0, key_of(&seq, 1)));
	seq = 2;
	ck_assert_ptr_null(portions_find(&portions, 0, key_of(&seq, 1)));
	/* The limit in bytes, of which each takes 4. */
	seq = 200;
	add(0, &seq, 1, 8);
	ck_assert_uint_eq(portions.count, 3);
	ck_assert_uint_eq(portions.bytes, 12);
}
END_TEST

START_TEST(what_is_not_used_for_a_while_is_dropped)
{
	static const uint64_t a[] = {1}, b[] = {2};

	add(0, a, 1, 100);
	add(0, b, 1, 100);
	portions_shrink(&portions);
	ck_assert_ptr_nonnull(portions_find(&portions, 0, key_of(b, 1)));
	portions_shrink(&portions);
	ck_assert_ptr_null(portions_find(&portions, 0, key_of(a, 1)));
	ck_assert_uint_eq(portions.count, 1);
	portions_shrink(&portions);
	portions_shrink(&portions);
	ck_assert_uint_eq(portions.count, 0);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/portion", setup, teardown,
	    (const TTest *[]){a_portion_is_found_by_its_form_and_all_of_its_messages,
		every_outbox_gets_all_of_it_in_order,
		a_message_that_the_form_cannot_carry_is_missed_in_its_place,
		the_least_recently_used_make_room_for_others,
		what_is_not_used_for_a_while_is_dropped, NULL});
}
