#include "config.h"

#include <stdio.h>

#include "base/testing.h"
#include "core/testing_core.h"

#define NOW TESTING_NOW_US

static struct fanfare_hub *hub;
static char text[4096];
static int until; /* read_one() ends the reading at this message */

static bool
read_one(void *arg, const struct fanfare_message *m)
{
	size_t len = strlen(text);

	ck_assert_ptr_eq(arg, &until);
	ck_assert_int_eq(m->kind, FANFARE_MESSAGE);
	ck_assert_ptr_null(m->pattern.data);
	snprintf(text + len, sizeof(text) - len, "%.*s=%.*s@%llu ", (int)m->channel.len,
	    m->channel.data, (int)m->payload.len, m->payload.data,
	    (unsigned long long)m->position.seq);
	return --until != 0;
}

static struct fanfare_position
at(uint64_t seq)
{
	return (struct fanfare_position){3, seq};
}

static void
setup(void)
{
	struct fanfare_hub_options options = {.size = sizeof(options), .epoch = 3};

	until = 0;
	hub = testing_hub(&options, "k*:history-size 4 history-ttl 60");
	for (int i = 0; i < 3; i++)
		testing_publish(hub, "k", (const char *[]){"a", "b", "c"}[i]);
}

static void
teardown(void)
{
	ck_assert_ok(fanfare_hub_free(hub));
}

static const char *
range(struct fanfare_position from, struct fanfare_position to, uint64_t most)
{
	uint64_t count = 77, spaces = 0;

	text[0] = '\0';
	ck_assert_ok(
	    fanfare_history_range(hub, B("k"), from, to, most, NOW, read_one, &until, &count));
	for (const char *c = text; *c != '\0'; c++)
		spaces += *c == ' ';
	ck_assert_uint_eq(count, spaces);
	return text;
}

START_TEST(a_range_includes_both_of_its_ends)
{
	uint64_t first = fanfare_newest_position(hub).seq - 2;
	struct fanfare_position least = {0, 0}, greatest = {UINT64_MAX, UINT64_MAX};
	char expected[100];

	snprintf(expected, sizeof(expected), "k=a@%llu k=b@%llu k=c@%llu ",
	    (unsigned long long)first, (unsigned long long)first + 1,
	    (unsigned long long)first + 2);
	ck_assert_str_eq(range(least, greatest, 0), expected);
	ck_assert_str_eq(range(at(first), at(first + 2), 3), expected);
	ck_assert_str_eq(range(at(first + 3), greatest, 0), "");
	ck_assert_str_eq(range(least, at(first - 1), 0), "");
	ck_assert_str_eq(range(at(0), at(0), 0), "");
	ck_assert_str_eq(range((struct fanfare_position){4, 0}, greatest, 0), "");
	ck_assert_str_eq(range(least, (struct fanfare_position){2, UINT64_MAX}, 0), "");
	snprintf(expected, sizeof(expected), "k=b@%llu ", (unsigned long long)first + 1);
	ck_assert_str_eq(range(at(first + 1), at(first + 1), 0), expected);
	ck_assert_str_eq(range(at(first + 1), greatest, 1), expected);
	until = 1;
	ck_assert_str_eq(range(at(first + 1), greatest, 0), expected);
}
END_TEST

START_TEST(the_last_messages_come_oldest_first)
{
	static const struct {
		uint64_t n, count;
	} cases[] = {{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 3}, {UINT64_MAX, 3}};
	uint64_t count;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		text[0] = '\0';
		ck_assert_ok(
		    fanfare_history_last(hub, B("k"), cases[i].n, NOW, read_one, &until, &count));
		ck_assert_uint_eq(count, cases[i].count);
	}
	ck_assert_mem_eq(text, "k=a", 3);
	ck_assert_ok(fanfare_history_last(hub, B("x"), 5, NOW, read_one, &until, &count));
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(kept_messages_expire)
{
	struct fanfare_figures figures = {.size = sizeof(figures)};
	uint64_t count, next_us;

	ck_assert_ok(fanfare_hub_work(hub, NOW, &next_us));
	ck_assert_uint_le(next_us, NOW + 61000000);
	ck_assert_ok(
	    fanfare_history_last(hub, B("k"), 5, NOW + 59999999, read_one, &until, &count));
	ck_assert_uint_eq(count, 3);
	testing_work(hub, NOW + 60000000);
	ck_assert_ok(fanfare_hub_figures(hub, &figures));
	ck_assert_uint_eq(figures.kept_messages, 0);
	ck_assert_uint_eq(figures.expired, 3);
	ck_assert_ok(fanfare_history_last(hub, B("k"), 5, NOW, read_one, &until, &count));
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(kept_messages_can_be_deleted)
{
	uint64_t count;

	ck_assert_ok(fanfare_history_delete(hub, B("x"), NOW, &count));
	ck_assert_uint_eq(count, 0);
	ck_assert_ok(fanfare_history_delete(hub, B("k"), NOW, &count));
	ck_assert_uint_eq(count, 3);
	ck_assert_ok(fanfare_history_delete(hub, B("k"), NOW, NULL));
}
END_TEST

START_TEST(arguments_are_checked)
{
	struct fanfare_bytes none = {NULL, 1}, longer = {"x", SIZE_MAX};
	struct fanfare_position p = {0, 0};
	uint64_t count = 7;

	ck_assert_result(
	    fanfare_history_range(hub, B("k"), p, p, 0, NOW, NULL, NULL, &count), FANFARE_INVALID);
	ck_assert_result(fanfare_history_range(NULL, B("k"), p, p, 0, NOW, read_one, NULL, &count),
	    FANFARE_INVALID);
	ck_assert_result(
	    fanfare_history_last(hub, B("k"), 1, NOW, NULL, NULL, &count), FANFARE_INVALID);
	ck_assert_result(
	    fanfare_history_last(hub, none, 1, NOW, read_one, NULL, &count), FANFARE_INVALID);
	ck_assert_result(fanfare_history_last(hub, longer, 1, NOW, read_one, NULL, &count),
	    FANFARE_NAME_TOO_LONG);
	ck_assert_result(fanfare_history_delete(NULL, B("k"), NOW, &count), FANFARE_INVALID);
	ck_assert_uint_eq(count, 7);
}
END_TEST

START_TEST(memory_of_kept_messages_is_limited)
{
	struct fanfare_figures figures = {.size = sizeof(figures)};
	char large[1000] = {0}, channel[16];

	ck_assert_ok(fanfare_hub_set_memory(hub, 0, 50000));
	for (int i = 0; i < 200; i++) {
		snprintf(channel, sizeof(channel), "k%d", i);
		ck_assert_ok(fanfare_publish(
		    hub, B(channel), (struct fanfare_bytes){large, sizeof(large)}, NOW, NULL));
	}
	testing_work(hub, NOW);
	ck_assert_ok(fanfare_hub_figures(hub, &figures));
	ck_assert_uint_le(figures.kept_bytes, 50000);
	ck_assert_uint_gt(figures.kept_messages, 10);
	ck_assert_uint_gt(figures.evicted, 100);
}
END_TEST

int
main(void)
{
	return testing_main("core/history", setup, teardown,
	    (const TTest *[]){a_range_includes_both_of_its_ends,
		the_last_messages_come_oldest_first, kept_messages_expire,
		kept_messages_can_be_deleted, arguments_are_checked,
		memory_of_kept_messages_is_limited, NULL});
}
