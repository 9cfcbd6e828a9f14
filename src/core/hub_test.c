#include "config.h"

#include "base/testing.h"
#include "core/testing_core.h"

static struct fanfare_hub *hub;

static void
setup(void)
{
	hub = testing_hub(NULL, NULL);
}

static void
teardown(void)
{
	ck_assert_ok(fanfare_hub_free(hub));
}

static enum fanfare_result
try_options(struct fanfare_hub_options options)
{
	struct fanfare_hub *other = NULL;
	enum fanfare_result result;

	options.size = sizeof(options);
	result = fanfare_hub_new(&options, &other);
	ck_assert((result == FANFARE_OK) == (other != NULL));
	ck_assert_ok(fanfare_hub_free(other));
	return result;
}

START_TEST(each_option_has_a_range_and_its_ends_are_allowed)
{
#define TRY(member, value) try_options((struct fanfare_hub_options){.member = (value)})
	ck_assert_ok(TRY(subscriptions_max, 1));
	ck_assert_ok(TRY(subscriptions_max, INT32_MAX));
	ck_assert_result(TRY(subscriptions_max, (uint32_t)INT32_MAX + 1), FANFARE_INVALID);
	ck_assert_ok(TRY(subscribers_max, INT32_MAX));
	ck_assert_result(TRY(subscribers_max, UINT32_MAX), FANFARE_INVALID);
	ck_assert_ok(TRY(name_max, 65535));
	ck_assert_result(TRY(name_max, 65536), FANFARE_INVALID);
	ck_assert_ok(TRY(segment, 4096));
	ck_assert_result(TRY(segment, 4095), FANFARE_INVALID);
	ck_assert_ok(TRY(segment, 1 << 24));
	ck_assert_result(TRY(segment, (1 << 24) + 1), FANFARE_INVALID);
	ck_assert_ok(TRY(kept_max, INT32_MAX));
	ck_assert_result(TRY(kept_max, UINT32_MAX), FANFARE_INVALID);
	ck_assert_result(TRY(reserved, 1), FANFARE_INVALID);
	ck_assert_ok(TRY(message_max, 1));
	ck_assert_ok(TRY(message_max, 1 << 29));
	ck_assert_result(TRY(message_max, (1 << 29) + 1), FANFARE_INVALID);
	ck_assert_ok(TRY(memory_max, SIZE_MAX));
	ck_assert_ok(TRY(history_max, SIZE_MAX));
	ck_assert_ok(TRY(block_us, UINT64_MAX));
	ck_assert_ok(TRY(epoch, UINT64_MAX));
}
END_TEST

START_TEST(structs_of_earlier_and_later_headers_are_understood_unless_they_ask_for_more)
{
	struct {
		struct fanfare_hub_options known;
		char later[8];
	} options = {.known = {.size = sizeof(options)}};
	struct fanfare_hub *other;

	ck_assert_ok(fanfare_hub_new(&options.known, &other));
	ck_assert_ok(fanfare_hub_free(other));
	options.later[7] = 1;
	ck_assert_result(fanfare_hub_new(&options.known, &other), FANFARE_INVALID);
	options.known.size = sizeof(size_t);
	ck_assert_ok(fanfare_hub_new(&options.known, &other));
	ck_assert_ok(fanfare_hub_free(other));
	options.known.size = sizeof(size_t) - 1;
	ck_assert_result(fanfare_hub_new(&options.known, &other), FANFARE_INVALID);
	options.known.size = SIZE_MAX;
	ck_assert_result(fanfare_hub_new(&options.known, &other), FANFARE_INVALID);
}
END_TEST

START_TEST(without_a_hub_nothing_happens)
{
	struct fanfare_figures figures = {.size = sizeof(figures)};
	struct fanfare_bytes name;
	uint64_t next_us;

	ck_assert_result(fanfare_hub_new(NULL, NULL), FANFARE_INVALID);
	ck_assert_ok(fanfare_hub_free(NULL));
	ck_assert_ptr_null(fanfare_hub_arg(NULL));
	ck_assert_result(fanfare_hub_set_memory(NULL, 1, 1), FANFARE_INVALID);
	ck_assert_result(fanfare_hub_set_block(NULL, 1), FANFARE_INVALID);
	ck_assert_result(fanfare_hub_work(NULL, 1, &next_us), FANFARE_INVALID);
	ck_assert_result(fanfare_hub_begin_round(NULL), FANFARE_INVALID);
	ck_assert_result(fanfare_hub_end_round(NULL), FANFARE_INVALID);
	ck_assert_result(fanfare_hub_figures(NULL, &figures), FANFARE_INVALID);
	ck_assert_result(fanfare_next_channel(NULL, B(NULL), &name), FANFARE_INVALID);
	ck_assert_uint_eq(fanfare_numsub(NULL, B("a")), 0);
	ck_assert_uint_eq(fanfare_numpat(NULL), 0);
	ck_assert_uint_eq(fanfare_newest_position(NULL).seq, 0);
}
END_TEST

START_TEST(channels_with_subscribers_are_walked_in_the_order_of_their_bytes)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	struct fanfare_bytes name;

	ck_assert_result(fanfare_next_channel(hub, B(NULL), &name), FANFARE_EMPTY);
	ck_assert_ok(fanfare_subscribe(s, B("b"), 1));
	ck_assert_ok(fanfare_subscribe(s, B(""), 1));
	ck_assert_ok(fanfare_subscribe(s, B("ab"), 1));
	ck_assert_ok(fanfare_psubscribe(s, B("aa*")));
	ck_assert_ok(fanfare_next_channel(hub, B(NULL), &name));
	ck_assert_uint_eq(name.len, 0);
	ck_assert_ok(fanfare_next_channel(hub, B(""), &name));
	ck_assert_mem_eq(name.data, "ab", 2);
	ck_assert_ok(fanfare_next_channel(hub, name, &name));
	ck_assert_mem_eq(name.data, "b", 1);
	ck_assert_result(fanfare_next_channel(hub, name, &name), FANFARE_EMPTY);
	ck_assert_result(
	    fanfare_next_channel(hub, (struct fanfare_bytes){NULL, 1}, &name), FANFARE_INVALID);
	ck_assert_result(fanfare_next_channel(hub, B("a"), NULL), FANFARE_INVALID);
	ck_assert_uint_eq(fanfare_numsub(hub, B("ab")), 1);
	ck_assert_uint_eq(fanfare_numsub(hub, B("abc")), 0);
	ck_assert_uint_eq(fanfare_numsub(hub, (struct fanfare_bytes){NULL, 1}), 0);
	ck_assert_uint_eq(fanfare_numpat(hub), 1);
}
END_TEST

START_TEST(figures_fit_into_what_the_caller_knows)
{
	struct fanfare_figures figures = {.size = sizeof(figures)};
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_DROP_NEWEST, 1, false);

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	testing_publish(hub, "a", "1");
	testing_publish(hub, "a", "2");
	ck_assert_ok(fanfare_hub_figures(hub, &figures));
	ck_assert_uint_eq(figures.published, 2);
	ck_assert_uint_eq(figures.delivered, 1);
	ck_assert_uint_eq(figures.dropped, 1);
	ck_assert_uint_eq(figures.subscribers, 1);
	ck_assert_uint_eq(figures.subscriptions, 1);
	ck_assert_uint_eq(figures.channels, 1);
	ck_assert_uint_eq(figures.queued_messages, 1);
	ck_assert_uint_gt(figures.queued_bytes, 1);
	ck_assert_uint_gt(figures.memory, 0);
	figures.size = offsetof(struct fanfare_figures, delivered);
	figures.published = figures.delivered = 77;
	ck_assert_ok(fanfare_hub_figures(hub, &figures));
	ck_assert_uint_eq(figures.published, 2);
	ck_assert_uint_eq(figures.delivered, 77);
	figures.size = 0;
	ck_assert_result(fanfare_hub_figures(hub, &figures), FANFARE_INVALID);
	ck_assert_result(fanfare_hub_figures(hub, NULL), FANFARE_INVALID);
}
END_TEST

START_TEST(times_are_below_two_to_the_sixty_second_and_never_go_back)
{
	uint64_t next_us = 0, end = UINT64_C(1) << 62;
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);

	ck_assert_ok(fanfare_hub_work(hub, 0, &next_us));
	ck_assert(next_us == UINT64_MAX);
	ck_assert_result(fanfare_hub_work(hub, end, &next_us), FANFARE_INVALID);
	ck_assert_result(fanfare_publish(hub, B("a"), B("1"), end, NULL), FANFARE_INVALID);
	ck_assert_result(fanfare_subscribe(s, B("a"), end), FANFARE_INVALID);
	ck_assert_result(fanfare_resume(s, B("a"), B("0"), end, NULL), FANFARE_INVALID);
	ck_assert_ok(fanfare_subscribe(s, B("a"), end - 1));
	ck_assert_ok(fanfare_publish(hub, B("a"), B("1"), 5, NULL));
	ck_assert_str_eq(testing_read(s), "a=1 ");
	ck_assert_ok(fanfare_hub_work(hub, 1, &next_us));
}
END_TEST

START_TEST(memory_of_messages_that_were_read_is_freed_within_seconds)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	struct fanfare_figures figures = {.size = sizeof(figures)};
	uint64_t next_us = 1;
	char large[10000];

	memset(large, 'x', sizeof(large));
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	for (int i = 0; i < 1000; i++)
		ck_assert_ok(fanfare_publish(
		    hub, B("a"), (struct fanfare_bytes){large, sizeof(large)}, 1, NULL));
	ck_assert_ok(fanfare_hub_figures(hub, &figures));
	ck_assert_uint_gt(figures.log_bytes, sizeof(large) * 1000);
	for (struct fanfare_message m; fanfare_subscriber_next(s, &m) == FANFARE_OK;)
		continue;
	for (int i = 0; i < 10 && next_us != UINT64_MAX; i++)
		ck_assert_ok(fanfare_hub_work(hub, next_us, &next_us));
	ck_assert(next_us == UINT64_MAX);
	ck_assert_ok(fanfare_hub_figures(hub, &figures));
	ck_assert_uint_lt(figures.log_bytes, 200000);
}
END_TEST

START_TEST(reading_what_is_not_there_keeps_nobody_awake)
{
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	uint64_t next_us = 0;

	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	testing_publish(hub, "a", "1");
	for (uint64_t now_us = 0; now_us < 10000000; now_us += 1000000) {
		testing_read(s);
		ck_assert_ok(fanfare_hub_work(hub, TESTING_NOW_US + now_us, &next_us));
	}
	ck_assert(next_us == UINT64_MAX);
}
END_TEST

/* Reads a large message of `large`, then what s has; returns the bytes that are held then. */
static size_t
held_behind(
    struct fanfare_subscriber *large, struct fanfare_subscriber *s, enum fanfare_result last)
{
	static char payload[1 << 20];
	struct fanfare_figures figures = {.size = sizeof(figures)};
	struct fanfare_message message;

	ck_assert_ok(fanfare_publish(
	    hub, B("large"), (struct fanfare_bytes){payload, sizeof(payload)}, 1, NULL));
	testing_publish(hub, "large", "behind it");
	ck_assert_ok(fanfare_subscriber_next(large, &message));
	ck_assert_uint_eq(message.payload.len, sizeof(payload));
	ck_assert_ok(fanfare_hub_figures(hub, &figures));
	ck_assert_uint_ge(figures.memory, sizeof(payload));
	ck_assert_result(fanfare_subscriber_next(s, &message), last);
	ck_assert_ok(fanfare_hub_figures(hub, &figures));
	ck_assert_str_eq(testing_read(large), "large=behind it ");
	return figures.memory;
}

START_TEST(a_large_message_is_held_until_the_next_read_whatever_it_finds)
{
	struct fanfare_subscriber *large = testing_subscriber(hub, FANFARE_DISCONNECT, 0, false);
	struct fanfare_subscriber *s = testing_subscriber(hub, FANFARE_DROP_NEWEST, 1, true);
	struct fanfare_message message;

	ck_assert_ok(fanfare_subscribe(large, B("large"), 1));
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	ck_assert_uint_lt(held_behind(large, s, FANFARE_EMPTY), 500000);
	testing_publish(hub, "a", "1");
	testing_publish(hub, "a", "2");
	ck_assert_ok(fanfare_subscriber_next(s, &message));
	ck_assert_uint_lt(held_behind(large, s, FANFARE_OK), 500000);
}
END_TEST

START_TEST(a_hub_frees_all_that_belongs_to_it)
{
	struct fanfare_hub_options options = {.size = sizeof(options), .arg = &options};
	struct fanfare_hub *other = testing_hub(&options, "a:history-size 5 history-ttl 5");
	struct fanfare_publisher *publisher;
	struct fanfare_subscriber *s = testing_subscriber(other, FANFARE_BLOCK, 1, false);

	ck_assert_ptr_eq(fanfare_hub_arg(other), &options);
	ck_assert_ok(fanfare_publisher_new(other, &publisher));
	ck_assert_ok(fanfare_subscribe(s, B("a"), 1));
	for (int i = 0; i < 2; i++)
		ck_assert_result(fanfare_post(other,
				     &(struct fanfare_post){.size = sizeof(struct fanfare_post),
					 .channel = B("a"),
					 .payload = B("x"),
					 .publisher = publisher},
				     1, NULL),
		    i == 0 ? FANFARE_OK : FANFARE_BLOCKED);
	ck_assert_ok(fanfare_hub_free(other));
}
END_TEST

int
main(void)
{
	return testing_main("core/hub", setup, teardown,
	    (const TTest *[]){each_option_has_a_range_and_its_ends_are_allowed,
		structs_of_earlier_and_later_headers_are_understood_unless_they_ask_for_more,
		without_a_hub_nothing_happens,
		channels_with_subscribers_are_walked_in_the_order_of_their_bytes,
		figures_fit_into_what_the_caller_knows,
		times_are_below_two_to_the_sixty_second_and_never_go_back,
		memory_of_messages_that_were_read_is_freed_within_seconds,
		reading_what_is_not_there_keeps_nobody_awake,
		a_large_message_is_held_until_the_next_read_whatever_it_finds,
		a_hub_frees_all_that_belongs_to_it, NULL});
}
