#include "config.h"

#include "pubsub/subscription_table.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/hub.h"

#define SUBSCRIBERS 40
#define TOPICS 1000

static struct subscription_table *table;
static struct subscriber subscribers[SUBSCRIBERS];
static char topics[TOPICS]; /* only their addresses count */
static struct subscription records[SUBSCRIBERS][TOPICS];
static bool in[SUBSCRIBERS][TOPICS];

static struct topic *
topic_at(int t)
{
	return (struct topic *)(void *)&topics[t];
}

static void
setup(void)
{
	table = subscription_table_new();
	memset(in, 0, sizeof(in));
	for (int s = 0; s < SUBSCRIBERS; s++)
		for (int t = 0; t < TOPICS; t++)
			records[s][t] = (struct subscription){
			    .subscriber = &subscribers[s], .topic = topic_at(t)};
}

static void
teardown(void)
{
	subscription_table_free(table);
}

static void
toggle(int s, int t)
{
	if (in[s][t])
		subscription_table_remove(table, &records[s][t]);
	else
		subscription_table_add(table, &records[s][t]);
	in[s][t] = !in[s][t];
}

START_TEST(what_was_added_is_found_and_nothing_else)
{
	toggle(3, 5);
	ck_assert_ptr_eq(
	    subscription_table_find(table, &subscribers[3], topic_at(5)), &records[3][5]);
	ck_assert_ptr_null(subscription_table_find(table, &subscribers[3], topic_at(6)));
	ck_assert_ptr_null(subscription_table_find(table, &subscribers[4], topic_at(5)));
	toggle(3, 5);
	ck_assert_ptr_null(subscription_table_find(table, &subscribers[3], topic_at(5)));
}
END_TEST

START_TEST(it_grows_and_gives_its_memory_back)
{
	size_t empty = subscription_table_bytes(table);

	for (int s = 0; s < SUBSCRIBERS; s++)
		for (int t = 0; t < TOPICS; t++)
			toggle(s, t);
	ck_assert_uint_eq(subscription_table_count(table), SUBSCRIBERS * TOPICS);
	ck_assert_uint_ge(subscription_table_bytes(table), SUBSCRIBERS * TOPICS * sizeof(void *));
	ck_assert_uint_le(
	    subscription_table_bytes(table), 2 * SUBSCRIBERS * TOPICS * sizeof(void *));
	for (int s = 0; s < SUBSCRIBERS; s++)
		for (int t = 0; t < TOPICS; t++)
			toggle(s, t);
	ck_assert_uint_le(subscription_table_bytes(table), empty + 16384);
}
END_TEST

START_TEST(four_hundred_thousand_random_steps_agree_with_a_plain_table)
{
	uint64_t seed = 1;
	size_t count = 0;
	int steps = testing_steps(400000);

	for (int step = 0; step < steps; step++) {
		uint64_t r = testing_random(&seed);
		int s = (int)(r % SUBSCRIBERS), t = (int)((r >> 32) % TOPICS);
		bool filling = step / (steps / 8) % 2 == 0;

		ck_assert_ptr_eq(subscription_table_find(table, &subscribers[s], topic_at(t)),
		    in[s][t] ? &records[s][t] : NULL);
		if (in[s][t] != filling) {
			toggle(s, t);
			count += filling ? 1 : (size_t)-1;
		}
		ck_assert_uint_eq(subscription_table_count(table), count);
	}
	for (int s = 0; s < SUBSCRIBERS; s++)
		for (int t = 0; t < TOPICS; t++)
			ck_assert_ptr_eq(
			    subscription_table_find(table, &subscribers[s], topic_at(t)),
			    in[s][t] ? &records[s][t] : NULL);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/subscription_table", setup, teardown,
	    (const TTest *[]){what_was_added_is_found_and_nothing_else,
		it_grows_and_gives_its_memory_back,
		four_hundred_thousand_random_steps_agree_with_a_plain_table, NULL});
}
