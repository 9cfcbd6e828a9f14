#include "config.h"

#include <stdio.h>

#include "base/testing.h"
#include "core/testing_core.h"

#define NOW TESTING_NOW_US

static struct fanfare_hub *hub;
static struct fanfare_subscriber *s;

static void
setup(void)
{
	struct fanfare_hub_options options = {.size = sizeof(options), .epoch = 9, .name_max = 20};

	hub = testing_hub(&options, "k*:history-size 4 history-ttl 60");
	s = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
}

static void
teardown(void)
{
	ck_assert_ok(fanfare_hub_free(hub));
}

/* Publishes the numbers from..to-1; returns the position of the last one. */
static struct fanfare_position
publish_numbers(const char *channel, int from, int to)
{
	struct fanfare_outcome outcome = {.receivers = 0};
	char text[16];

	for (int i = from; i < to; i++) {
		snprintf(text, sizeof(text), "%d", i);
		ck_assert_ok(fanfare_publish(hub, B(channel), B(text), NOW, &outcome));
	}
	return outcome.position;
}

static struct fanfare_resumption
resume_at(const char *channel, struct fanfare_position position)
{
	struct fanfare_resumption resumption;
	char text[FANFARE_POSITION_TEXT];

	fanfare_position_print(position, text);
	ck_assert_ok(fanfare_resume(s, B(channel), B(text), NOW, &resumption));
	return resumption;
}

START_TEST(a_reader_goes_on_behind_its_position_and_then_live)
{
	struct fanfare_position second = publish_numbers("k", 1, 3);
	struct fanfare_resumption resumption;

	ck_assert_uint_eq(second.epoch, 9);
	publish_numbers("k", 3, 5);
	resumption = resume_at("k", second);
	ck_assert_int_eq(resumption.verdict, FANFARE_RESUMED);
	ck_assert_uint_eq(resumption.position.seq, second.seq);
	ck_assert_uint_eq(resumption.count, 2);
	publish_numbers("k", 5, 6);
	testing_work(hub, NOW);
	ck_assert_str_eq(testing_read(s), "k=3 k=4 k=5 ");
	publish_numbers("k", 6, 7);
	ck_assert_str_eq(testing_read(s), "k=6 ");
	ck_assert_uint_eq(fanfare_queued_position(s).seq, fanfare_newest_position(hub).seq);
	ck_assert_result(fanfare_resume(s, B("k"), B("0"), NOW, NULL), FANFARE_ALREADY);
}
END_TEST

START_TEST(a_position_that_was_trimmed_is_lost_and_only_new_messages_follow)
{
	struct fanfare_position first = publish_numbers("k", 1, 2);
	struct fanfare_resumption resumption;

	publish_numbers("k", 2, 7);
	resumption = resume_at("k", first);
	ck_assert_int_eq(resumption.verdict, FANFARE_LOST);
	ck_assert_uint_eq(resumption.count, 0);
	ck_assert_uint_eq(resumption.position.seq, fanfare_newest_position(hub).seq);
	testing_work(hub, NOW);
	ck_assert_str_eq(testing_read(s), "");
	publish_numbers("k", 7, 8);
	ck_assert_str_eq(testing_read(s), "k=7 ");
}
END_TEST

START_TEST(positions_of_another_epoch_and_of_the_future_are_lost)
{
	struct fanfare_position newest = publish_numbers("k", 1, 3);

	ck_assert_int_eq(
	    resume_at("k", (struct fanfare_position){8, newest.seq}).verdict, FANFARE_LOST);
	ck_assert_ok(fanfare_unsubscribe(s, B("k")));
	ck_assert_int_eq(
	    resume_at("k", (struct fanfare_position){9, newest.seq + 1}).verdict, FANFARE_LOST);
	ck_assert_ok(fanfare_unsubscribe(s, B("k")));
	ck_assert_int_eq(resume_at("k", newest).verdict, FANFARE_RESUMED);
}
END_TEST

START_TEST(everything_nothing_and_the_last_messages_can_be_asked_for)
{
	static const struct {
		const char *since, *expected;
		uint64_t count;
	} cases[] = {
	    {"0", "k=2 k=3 k=4 k=5 ", 4},
	    {"$", "", 0},
	    {"-1", "k=5 ", 1},
	    {"-4", "k=2 k=3 k=4 k=5 ", 4},
	    {"-18446744073709551615", "k=2 k=3 k=4 k=5 ", 4},
	};
	struct fanfare_resumption resumption;

	publish_numbers("k", 1, 6);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (fanfare_resume(s, B("k"), B(cases[i].since), NOW, &resumption) ==
		    FANFARE_INVALID)
			ck_abort_msg("%s", cases[i].since);
		ck_assert_int_eq(resumption.verdict, FANFARE_NEW);
		ck_assert_uint_eq(resumption.count, cases[i].count);
		testing_work(hub, NOW);
		ck_assert_str_eq(testing_read(s), cases[i].expected);
		ck_assert_ok(fanfare_unsubscribe(s, B("k")));
	}
}
END_TEST

START_TEST(what_is_no_position_is_refused)
{
	static const char *const texts[] = {"", "-", "-0", "x", "9-", "9-1x", "1", "$$", "9-01"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		ck_assert_result(
		    fanfare_resume(s, B("k"), B(texts[i]), NOW, NULL), FANFARE_INVALID);
		ck_assert_result(
		    fanfare_presume(s, B("k"), B(texts[i]), NOW, 0, NULL), FANFARE_INVALID);
	}
	ck_assert_result(
	    fanfare_resume(s, B("k"), (struct fanfare_bytes){NULL, 1}, NOW, NULL), FANFARE_INVALID);
	ck_assert_result(fanfare_resume(NULL, B("k"), B("0"), NOW, NULL), FANFARE_INVALID);
	ck_assert_result(fanfare_presume(NULL, B("k"), B("0"), NOW, 0, NULL), FANFARE_INVALID);
	ck_assert_result(fanfare_resume(s, B("123456789012345678901"), B("0"), NOW, NULL),
	    FANFARE_NAME_TOO_LONG);
	ck_assert_uint_eq(fanfare_queued_position(NULL).epoch, 0);
}
END_TEST

START_TEST(a_channel_without_history_is_subscribed_all_the_same)
{
	struct fanfare_resumption resumption;

	ck_assert_ok(fanfare_resume(s, B("x"), B("0"), NOW, &resumption));
	ck_assert_int_eq(resumption.verdict, FANFARE_NO_HISTORY);
	ck_assert_uint_eq(resumption.position.seq, 0);
	publish_numbers("x", 1, 2);
	ck_assert_str_eq(testing_read(s), "x=1 ");
}
END_TEST

START_TEST(a_pattern_goes_on_with_all_its_channels_in_order)
{
	struct fanfare_resumption resumption;

	publish_numbers("ka", 1, 3);
	publish_numbers("kb", 3, 5);
	publish_numbers("ka", 5, 6);
	ck_assert_ok(fanfare_presume(s, B("k[ab]"), B("-4"), NOW, 0, &resumption));
	ck_assert_int_eq(resumption.verdict, FANFARE_NEW);
	ck_assert_uint_eq(resumption.count, 4);
	publish_numbers("kb", 6, 7);
	testing_work(hub, NOW);
	ck_assert_str_eq(
	    testing_read(s), "k[ab]>ka=2 k[ab]>kb=3 k[ab]>kb=4 k[ab]>ka=5 k[ab]>kb=6 ");
	ck_assert_result(fanfare_presume(s, B("k[ab]"), B("0"), NOW, 0, NULL), FANFARE_ALREADY);
	ck_assert_ok(fanfare_presume(s, B("z*"), B("$"), NOW, 0, &resumption));
	ck_assert_int_eq(resumption.verdict, FANFARE_NEW);
	ck_assert_result(fanfare_presume(s, B("k*"), B("0"), NOW, 1, NULL), FANFARE_TOO_MANY);
	ck_assert_ok(fanfare_presume(s, B("k*"), B("0"), NOW, 2, NULL));
	ck_assert_uint_eq(fanfare_subscription_count(s), 3);
}
END_TEST

START_TEST(a_pattern_at_a_position_is_resumed_or_lost)
{
	struct fanfare_position first = publish_numbers("ka", 1, 2);
	struct fanfare_resumption resumption;
	char text[FANFARE_POSITION_TEXT];

	publish_numbers("kb", 2, 4);
	fanfare_position_print(first, text);
	ck_assert_ok(fanfare_presume(s, B("k*"), B(text), NOW, 0, &resumption));
	ck_assert_int_eq(resumption.verdict, FANFARE_RESUMED);
	ck_assert_uint_eq(resumption.count, 2);
	testing_work(hub, NOW);
	ck_assert_str_eq(testing_read(s), "k*>kb=2 k*>kb=3 ");
	publish_numbers("ka", 4, 9);
	testing_read(s);
	ck_assert_ok(fanfare_punsubscribe(s, B("k*")));
	ck_assert_ok(fanfare_presume(s, B("k*"), B(text), NOW, 0, &resumption));
	ck_assert_int_eq(resumption.verdict, FANFARE_LOST);
	testing_work(hub, NOW);
	publish_numbers("ka", 9, 10);
	ck_assert_str_eq(testing_read(s), "k*>ka=9 ");
}
END_TEST

START_TEST(under_catch_up_a_slow_reader_gets_everything_from_the_history)
{
	struct fanfare_subscriber *slow = testing_subscriber(hub, FANFARE_CATCH_UP, 2, true);
	struct fanfare_queue queue = {.size = sizeof(queue)};

	ck_assert_ok(fanfare_subscribe(slow, B("k"), NOW));
	publish_numbers("k", 1, 5);
	ck_assert_ok(fanfare_subscriber_queue(slow, &queue));
	ck_assert_uint_eq(queue.messages, 2);
	ck_assert_uint_eq(queue.behind, 2);
	ck_assert_str_eq(testing_read(slow), "k=1 k=2 ");
	testing_work(hub, NOW);
	ck_assert_str_eq(testing_read(slow), "k=3 k=4 ");
	publish_numbers("k", 5, 15);
	testing_work(hub, NOW);
	ck_assert_str_eq(testing_read(slow), "k=5 k=6 ");
	testing_work(hub, NOW);
	ck_assert_str_eq(testing_read(slow), "missed:4 k=11 k=12 ");
}
END_TEST

START_TEST(the_option_replay_brings_the_last_messages_first)
{
	ck_assert_ok(
	    fanfare_channel_set(hub, B("kr"), B("history-size 5 history-ttl 60 replay 2"), NULL));
	publish_numbers("kr", 1, 5);
	ck_assert_ok(fanfare_subscribe(s, B("kr"), NOW));
	publish_numbers("kr", 5, 6);
	testing_work(hub, NOW);
	ck_assert_str_eq(testing_read(s), "kr=3 kr=4 kr=5 ");
	ck_assert_result(fanfare_subscribe(s, B("kr"), NOW), FANFARE_ALREADY);
}
END_TEST

/* Publishes one message to each of the channels kFROM to kTO-1. */
static void
publish_channels(int from, int to)
{
	char name[16];

	for (int i = from; i < to; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		testing_publish(hub, name, "1");
	}
}

/* Works and reads until nothing comes any more; returns the number of messages. */
static int
read_all(void)
{
	struct fanfare_message message;
	int count = 0, before;

	do {
		before = count;
		testing_work(hub, NOW);
		while (fanfare_subscriber_next(s, &message) == FANFARE_OK)
			count++;
	} while (count > before);
	return count;
}

START_TEST(a_pattern_of_more_channels_than_can_be_replayed_is_refused)
{
	publish_channels(0, 8192);
	ck_assert_ok(fanfare_presume(s, B("k*"), B("0"), NOW, 0, NULL));
	ck_assert_result(fanfare_presume(s, B("k?*"), B("0"), NOW, 0, NULL), FANFARE_TOO_MANY);
	ck_assert_uint_eq(fanfare_subscription_count(s), 1);
	publish_channels(8192, 8193);
	ck_assert_int_eq(read_all(), 8193);
	ck_assert_result(fanfare_presume(s, B("k?*"), B("0"), NOW, 0, NULL), FANFARE_TOO_MANY);
	ck_assert_result(
	    fanfare_presume(s, B("k?*"), B("0"), NOW, UINT32_MAX, NULL), FANFARE_TOO_MANY);
	ck_assert_ok(fanfare_presume(s, B("k?*"), B("$"), NOW, 0, NULL));
}
END_TEST

START_TEST(further_channels_are_resumed_when_some_were_replayed)
{
	char name[16];

	ck_assert_ok(
	    fanfare_channel_set(hub, B("kr"), B("history-size 5 history-ttl 60 replay 2"), NULL));
	testing_publish(hub, "kr", "1");
	publish_channels(0, FANFARE_REPLAYED_MAX);
	for (int i = 0; i < FANFARE_REPLAYED_MAX - 1; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		ck_assert_ok(fanfare_resume(s, B(name), B("0"), NOW, NULL));
	}
	snprintf(name, sizeof(name), "k%d", FANFARE_REPLAYED_MAX - 1);
	ck_assert_result(fanfare_resume(s, B(name), B("0"), NOW, NULL), FANFARE_TOO_MANY);
	ck_assert_result(fanfare_resume(s, B("k0"), B("0"), NOW, NULL), FANFARE_ALREADY);
	ck_assert_result(fanfare_subscribe(s, B("kr"), NOW), FANFARE_TOO_MANY);
	ck_assert_result(fanfare_subscribe(s, B("k0"), NOW), FANFARE_ALREADY);
	ck_assert_ok(fanfare_subscribe(s, B("live"), NOW));
	ck_assert_int_eq(read_all(), FANFARE_REPLAYED_MAX - 1);
	ck_assert_ok(fanfare_resume(s, B(name), B("0"), NOW, NULL));
	ck_assert_ok(fanfare_subscribe(s, B("kr"), NOW));
	ck_assert_int_eq(read_all(), 2);
}
END_TEST

int
main(void)
{
	return testing_main("core/resume", setup, teardown,
	    (const TTest *[]){a_reader_goes_on_behind_its_position_and_then_live,
		a_position_that_was_trimmed_is_lost_and_only_new_messages_follow,
		positions_of_another_epoch_and_of_the_future_are_lost,
		everything_nothing_and_the_last_messages_can_be_asked_for,
		what_is_no_position_is_refused,
		a_channel_without_history_is_subscribed_all_the_same,
		a_pattern_goes_on_with_all_its_channels_in_order,
		a_pattern_at_a_position_is_resumed_or_lost,
		under_catch_up_a_slow_reader_gets_everything_from_the_history,
		the_option_replay_brings_the_last_messages_first,
		a_pattern_of_more_channels_than_can_be_replayed_is_refused,
		further_channels_are_resumed_when_some_were_replayed, NULL});
}
