#include "config.h"

#include "base/time_queue.h"

#include <check.h>
#include <stdbool.h>

#include "base/alloc.h"
#include "base/testing.h"

#define MANY 5000

struct thing {
	int64_t at;
	uint32_t place;
	bool is_in;
};

static struct time_queue queue;
static struct thing many[MANY];

static void
note_place(void *thing, uint32_t place)
{
	((struct thing *)thing)->place = place;
}

static const struct time_queue_ops ops = {note_place, xrealloc, xfree};

static void
setup(void)
{
	time_queue_init(&queue, &ops);
}

static void
teardown(void)
{
	time_queue_release(&queue);
}

static void
add(struct thing *thing, int64_t at)
{
	thing->at = at;
	thing->is_in = true;
	time_queue_add(&queue, thing, at);
}

static void
take(struct thing *thing)
{
	thing->is_in = false;
	time_queue_remove(&queue, thing->place);
}

START_TEST(the_first_is_the_earliest)
{
	ck_assert_ptr_null(time_queue_first(&queue));
	add(&many[0], 20);
	add(&many[1], -10);
	add(&many[2], 30);
	ck_assert_ptr_eq(time_queue_first(&queue)->thing, &many[1]);
	take(&many[1]);
	ck_assert_ptr_eq(time_queue_first(&queue)->thing, &many[0]);
	take(&many[2]);
	take(&many[0]);
	ck_assert_ptr_null(time_queue_first(&queue));
}
END_TEST

static int64_t
earliest(size_t count)
{
	int64_t at = INT64_MAX;

	for (size_t i = 0; i < count; i++)
		if (many[i].is_in && many[i].at < at)
			at = many[i].at;
	return at;
}

START_TEST(whatever_is_added_changed_and_removed_the_first_is_the_earliest)
{
	const size_t few = 500;
	uint64_t seed = 1;
	size_t count = 0;

	for (int n = 0; n < testing_steps(50000); n++) {
		struct thing *thing = &many[testing_random(&seed) % few];
		int64_t at = (int64_t)(testing_random(&seed) % 1000);

		if (thing->is_in && at % 3 == 0) {
			thing->at = at;
			time_queue_change(&queue, thing->place, at);
		} else if (thing->is_in) {
			take(thing);
			count--;
		} else {
			add(thing, at);
			count++;
		}
		ck_assert_uint_eq(queue.count, count);
		if (count > 0)
			ck_assert_int_eq(time_queue_first(&queue)->at, earliest(few));
	}
}
END_TEST

START_TEST(each_thing_knows_its_place)
{
	for (int i = 0; i < MANY; i++)
		add(&many[i], MANY - i);
	for (uint32_t place = 0; place < MANY; place++)
		ck_assert_uint_eq(
		    ((struct thing *)time_queue_at(&queue, place)->thing)->place, place);
}
END_TEST

START_TEST(things_come_out_in_order_over_several_segments)
{
	uint64_t seed = 2;
	int64_t last = -1;

	for (int i = 0; i < MANY; i++)
		add(&many[i], (int64_t)(testing_random(&seed) % 100000));
	for (int i = 0; i < MANY; i++) {
		struct thing *first = time_queue_first(&queue)->thing;

		ck_assert_int_le(last, first->at);
		last = first->at;
		take(first);
	}
	ck_assert_uint_eq(queue.count, 0);
}
END_TEST

START_TEST(memory_follows_the_number_of_things)
{
	size_t before = alloc_used_bytes();

	add(&many[0], 0);
	ck_assert_uint_le(alloc_used_bytes() - before, 512);
	for (int i = 1; i < MANY; i++)
		add(&many[i], i);
	for (int i = MANY - 1; i >= 0; i--) {
		/* Two segments of 16 KiB, and the list of segments. */
		ck_assert_uint_le(alloc_used_bytes() - before,
		    (size_t)(i + 1) * sizeof(struct time_queue_entry) + 3 * 17000);
		take(&many[i]);
	}
	ck_assert_uint_eq(alloc_used_bytes(), before);
}
END_TEST

int
main(void)
{
	return testing_main("base/time_queue", setup, teardown,
	    (const TTest *[]){the_first_is_the_earliest,
		whatever_is_added_changed_and_removed_the_first_is_the_earliest,
		each_thing_knows_its_place, things_come_out_in_order_over_several_segments,
		memory_follows_the_number_of_things, NULL});
}
