#include "config.h"

#include "pubsub/channel_rates.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"

#define SECOND UINT64_C(1000000)
#define START (1000 * SECOND)
#define MANY 100000

static struct channel_rates *rates;

static void
setup(void)
{
	rates = channel_rates_new();
}

static void
teardown(void)
{
	channel_rates_free(rates);
}

/* Publishes as often as the rate allows, up to `tries` times; returns how often it did. */
static int
publish(const char *name, struct channel_rate limit, int tries, size_t len, uint64_t now_us)
{
	int published = 0;

	while (tries-- > 0) {
		if (channel_rates_check(rates, slice_of(name), &limit, MANY, now_us) !=
		    CHANNEL_RATE_OPEN)
			continue;
		channel_rates_count(rates, slice_of(name), &limit, MANY, len, now_us);
		published++;
	}
	return published;
}

START_TEST(one_second_of_messages_passes_at_once_and_then_one_at_a_time)
{
	struct channel_rate ten = {.messages = 10};

	ck_assert_int_eq(publish("a", ten, 20, 5, START), 10);
	ck_assert_int_eq(publish("a", ten, 20, 5, START + SECOND / 10), 1);
	ck_assert_int_eq(publish("a", ten, 20, 5, START + SECOND / 10 + 99999), 0);
	ck_assert_int_eq(publish("a", ten, 20, 5, START + 100 * SECOND), 10);
}
END_TEST

START_TEST(each_channel_has_a_rate_of_its_own)
{
	struct channel_rate one = {.messages = 1};

	ck_assert_int_eq(publish("a", one, 2, 5, START), 1);
	ck_assert_int_eq(publish("b", one, 2, 5, START), 1);
	ck_assert_uint_eq(channel_rates_records(rates), 2);
}
END_TEST

START_TEST(a_message_larger_than_a_second_of_bytes_passes_and_delays_the_next_ones)
{
	struct channel_rate thousand = {.bytes = 1000};

	ck_assert_int_eq(publish("a", thousand, 5, 3000, START), 1);
	ck_assert_int_eq(publish("a", thousand, 5, 1, START + 2 * SECOND), 0);
	ck_assert_int_eq(publish("a", thousand, 1, 1, START + 2 * SECOND + 1000), 1);
}
END_TEST

START_TEST(no_message_delays_the_next_one_for_more_than_an_hour)
{
	struct channel_rate one = {.bytes = 1};

	ck_assert_int_eq(publish("a", one, 1, (size_t)1 << 30, START), 1);
	ck_assert_int_eq(publish("a", one, 1, 1, START + 3598 * SECOND), 0);
	ck_assert_int_eq(publish("a", one, 1, 1, START + 3600 * SECOND), 1);
}
END_TEST

START_TEST(the_tighter_of_two_limits_decides)
{
	struct channel_rate both = {.messages = 100, .bytes = 10};

	ck_assert_int_eq(publish("a", both, 50, 5, START), 2);
	both = (struct channel_rate){.messages = 3, .bytes = 1000};
	ck_assert_int_eq(publish("b", both, 50, 5, START), 3);
}
END_TEST

START_TEST(a_record_is_freed_once_its_use_is_over)
{
	struct channel_rate ten = {.messages = 10};

	ck_assert_int_eq(publish("a", ten, 1, 5, START), 1);
	ck_assert_int_eq(publish("b", ten, 10, 5, START), 10);
	ck_assert(!channel_rates_expire(rates, START + SECOND / 10 - 1, 100));
	ck_assert_uint_eq(channel_rates_records(rates), 2);
	ck_assert(!channel_rates_expire(rates, START + SECOND / 10, 100));
	ck_assert_uint_eq(channel_rates_records(rates), 1);
	ck_assert_int_eq(publish("b", ten, 1, 5, START + SECOND / 10), 1);
	ck_assert(!channel_rates_expire(rates, START + SECOND, 100));
	ck_assert_uint_eq(channel_rates_records(rates), 1);
	ck_assert(!channel_rates_expire(rates, START + SECOND * 11 / 10, 100));
	ck_assert_uint_eq(channel_rates_records(rates), 0);
}
END_TEST

START_TEST(many_records_are_freed_in_steps_with_all_their_memory)
{
	struct channel_rate one = {.messages = 1};
	size_t before = alloc_used_bytes();
	char name[32];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "channel.%d", i);
		ck_assert_int_eq(publish(name, one, 1, 5, START + (uint64_t)i), 1);
	}
	ck_assert_uint_eq(channel_rates_records(rates), MANY);
	ck_assert_uint_lt(alloc_used_bytes() - before, (size_t)MANY * 128);
	ck_assert(channel_rates_expire(rates, START + 2 * SECOND, 1000));
	ck_assert_uint_eq(channel_rates_records(rates), MANY - 1000);
	while (channel_rates_expire(rates, START + 2 * SECOND, 1000))
		continue;
	ck_assert_uint_eq(channel_rates_records(rates), 0);
	ck_assert_uint_eq(alloc_used_bytes(), before);
}
END_TEST

START_TEST(without_room_new_channels_wait_and_known_ones_do_not)
{
	struct channel_rate ten = {.messages = 10};
	struct slice a = slice_of("a"), b = slice_of("b");

	channel_rates_count(rates, a, &ten, 1, 5, START);
	ck_assert_int_eq(channel_rates_check(rates, b, &ten, 1, START), CHANNEL_RATE_NO_ROOM);
	ck_assert_int_eq(channel_rates_check(rates, a, &ten, 1, START), CHANNEL_RATE_OPEN);
	channel_rates_count(rates, b, &ten, 1, 5, START);
	ck_assert_uint_eq(channel_rates_records(rates), 1);
	ck_assert(!channel_rates_expire(rates, START + SECOND, 10));
	ck_assert_int_eq(channel_rates_check(rates, b, &ten, 1, START), CHANNEL_RATE_OPEN);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/channel_rates", setup, teardown,
	    (const TTest *[]){one_second_of_messages_passes_at_once_and_then_one_at_a_time,
		each_channel_has_a_rate_of_its_own,
		a_message_larger_than_a_second_of_bytes_passes_and_delays_the_next_ones,
		no_message_delays_the_next_one_for_more_than_an_hour,
		the_tighter_of_two_limits_decides, a_record_is_freed_once_its_use_is_over,
		many_records_are_freed_in_steps_with_all_their_memory,
		without_room_new_channels_wait_and_known_ones_do_not, NULL});
}
