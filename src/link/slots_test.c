#include "config.h"

#include "link/slots.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/testing.h"
#include "resp/reply.h"

static struct slot_map *map;
static struct buffer text;

static void
setup(void)
{
	map = xcalloc(1, sizeof(*map));
}

static void
teardown(void)
{
	xfree(map);
	buffer_release(&text);
}

/* Reads one RESP value as the reply of the node at "asked". */
static const char *
read_text(const char *ptr, size_t len)
{
	struct resp_reader *reader = resp_reader_new(1 << 24, 8);
	struct resp_value *value = NULL;
	const char *why;

	resp_reader_feed(reader, ptr, len);
	ck_assert_int_eq(resp_reader_next(reader, &value), 1);
	why = slot_map_read(map, value, "asked");
	resp_value_free(value);
	resp_reader_free(reader);
	return why;
}

static const char *
read_reply(const char *reply)
{
	return read_text(reply, strlen(reply));
}

#define NODE(host, port) "*4\r\n" host ":" port "\r\n$2\r\nid\r\n*0\r\n"
#define HOST "$1\r\nh\r\n"

/* The values are those of CLUSTER KEYSLOT of Redis 7.0.15. */
START_TEST(slots_of_names_are_those_of_redis)
{
	static const struct {
		const char *name;
		uint16_t slot;
	} cases[] = {{"", 0}, {"a", 15495}, {"foo", 12182}, {"123456789", 12739},
	    {"{user1000}.following", 3443}, {"{user1000}.followers", 3443}, {"foo{}{bar}", 8363},
	    {"foo{{bar}}zap", 4015}, {"foo{bar}{zap}", 5061}, {"{}x", 10595}, {"x{", 3596},
	    {"x}{y", 9970}, {"{a", 10276}, {"a}b{c}", 7365}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		ck_assert_msg(slot_of(slice_of(cases[i].name)) == cases[i].slot, "%s: %u",
		    cases[i].name, (unsigned)slot_of(slice_of(cases[i].name)));
	ck_assert_uint_eq(slot_of(slice_of("{a}")), slot_of(slice_of("a")));
	ck_assert_uint_eq(slot_of((struct slice){NULL, 0}), 0);
	ck_assert_uint_lt(slot_of((struct slice){"\xff\0\x80", 3}), SLOTS);
}
END_TEST

static bool
is_slot(const void *arg, uint16_t slot)
{
	return *(const uint16_t *)arg == slot;
}

START_TEST(numbers_of_all_slots_are_looked_for_once)
{
	struct slot_numbers *numbers = xcalloc(1, sizeof(*numbers));
	uint32_t tried;
	char name[32];

	for (int turn = 0; turn < 2; turn++) {
		tried = numbers->tried;
		for (uint16_t slot = 0; slot < SLOTS; slot++) {
			uint32_t number = slot_numbers_find(numbers, "a:", is_slot, &slot);

			snprintf(name, sizeof(name), "a:%u", (unsigned)number);
			ck_assert_uint_eq(slot_of(slice_of(name)), slot);
		}
	}
	ck_assert_uint_eq(numbers->tried, tried); /* none in the second turn */
	ck_assert_uint_lt(tried, 1000000);
	xfree(numbers);
}
END_TEST

START_TEST(each_slot_has_the_master_that_the_reply_names_first)
{
	ck_assert_ptr_null(read_reply(
	    "*3\r\n"
	    "*4\r\n:0\r\n:99\r\n" NODE(HOST, "1") NODE(HOST, "9") "*3\r\n:100\r\n:100\r\n" NODE(
		"$1\r\ni\r\n", "1") "*3\r\n:16383\r\n:16383\r\n" NODE(HOST, "1")));
	ck_assert_uint_eq(map->count, 2);
	ck_assert_uint_eq(map->served, 102);
	ck_assert_str_eq(map->masters[0].host, "h");
	ck_assert_uint_eq(map->masters[0].port, 1);
	ck_assert_uint_eq(map->masters[0].slots, 101);
	ck_assert_str_eq(map->masters[1].host, "i");
	ck_assert_uint_eq(map->masters[1].first, 100);
	ck_assert_uint_eq(map->served_by[0], 0);
	ck_assert_uint_eq(map->served_by[99], 0);
	ck_assert_uint_eq(map->served_by[100], 1);
	ck_assert_uint_eq(map->served_by[101], SLOT_UNSERVED);
	ck_assert_uint_eq(map->served_by[16383], 0);
}
END_TEST

START_TEST(a_host_that_is_left_out_is_the_one_that_was_asked)
{
	ck_assert_ptr_null(read_reply("*2\r\n*3\r\n:0\r\n:0\r\n" NODE(
	    "$0\r\n\r\n", "1") "*3\r\n:1\r\n:1\r\n" NODE("_\r\n", "2")));
	ck_assert_uint_eq(map->count, 2);
	ck_assert_str_eq(map->masters[0].host, "asked");
	ck_assert_str_eq(map->masters[1].host, "asked");
}
END_TEST

START_TEST(a_master_that_cannot_be_reached_serves_nothing)
{
	ck_assert_ptr_null(read_reply("*2\r\n*3\r\n:0\r\n:0\r\n" NODE(
	    "$1\r\n?\r\n", "1") "*3\r\n:1\r\n:1\r\n" NODE(HOST, "0")));
	ck_assert_uint_eq(map->count, 0);
	ck_assert_uint_eq(map->served, 0);
	ck_assert_ptr_null(read_reply("*0\r\n"));
	ck_assert_uint_eq(map->served, 0);
}
END_TEST

START_TEST(wrong_shapes_are_refused)
{
	static const char *const replies[] = {"$1\r\nx\r\n", ":1\r\n", "_\r\n", "%0\r\n",
	    "*1\r\n:1\r\n", "*1\r\n*0\r\n", "*1\r\n*2\r\n:0\r\n:1\r\n",
	    "*1\r\n*3\r\n:-1\r\n:1\r\n" NODE(HOST, "1"), "*1\r\n*3\r\n:2\r\n:1\r\n" NODE(HOST, "1"),
	    "*1\r\n*3\r\n:0\r\n:16384\r\n" NODE(HOST, "1"),
	    "*1\r\n*3\r\n$1\r\n0\r\n:1\r\n" NODE(HOST, "1"), "*1\r\n*3\r\n:0\r\n:1\r\n:1\r\n",
	    "*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n" HOST, "*1\r\n*3\r\n:0\r\n:1\r\n" NODE(":1\r\n", "1"),
	    "*1\r\n*3\r\n:0\r\n:1\r\n" NODE(HOST, "65536"),
	    "*1\r\n*3\r\n:0\r\n:1\r\n" NODE(HOST, "-1"),
	    "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n" HOST "$1\r\n1\r\n",
	    "*2\r\n*3\r\n:0\r\n:1\r\n" NODE(HOST, "1") "*3\r\n:1\r\n:2\r\n" NODE(HOST, "1")};

	for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++)
		ck_assert_msg(read_reply(replies[i]) != NULL, "%s", replies[i]);
}
END_TEST

START_TEST(hosts_have_a_limit_and_no_nul)
{
	static const char with_nul[] = "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$3\r\na\0b\r\n:1\r\n";
	char host[300];

	memset(host, 'a', sizeof(host));
	for (size_t len = SLOT_HOST_MAX; len <= SLOT_HOST_MAX + 1; len++) {
		buffer_clear(&text);
		buffer_appendf(&text, "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$%zu\r\n%.*s\r\n:1\r\n", len,
		    (int)len, host);
		ck_assert_int_eq(read_text(text.ptr, text.len) == NULL, len == SLOT_HOST_MAX);
	}
	ck_assert_uint_eq(strlen(map->masters[0].host), SLOT_HOST_MAX);
	ck_assert_str_eq(read_text(with_nul, sizeof(with_nul) - 1),
	    "CLUSTER SLOTS has a master without host and port");
}
END_TEST

START_TEST(hosts_have_letters_digits_and_a_few_signs_only)
{
	for (unsigned c = 0; c < 256; c++) {
		bool is_fine = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			       (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_' ||
			       c == ':' || c == '%';

		buffer_clear(&text);
		buffer_append_str(&text, "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$3\r\na");
		buffer_append(&text, &(char){(char)c}, 1);
		buffer_append_str(&text, "b\r\n:1\r\n");
		ck_assert_msg(
		    (read_text(text.ptr, text.len) == NULL) == is_fine, "byte %u of a host", c);
	}
}
END_TEST

START_TEST(there_are_at_most_256_masters)
{
	for (size_t count = SLOT_MASTERS_MAX; count <= SLOT_MASTERS_MAX + 1; count++) {
		buffer_clear(&text);
		buffer_appendf(&text, "*%zu\r\n", count);
		for (size_t i = 0; i < count; i++)
			buffer_appendf(
			    &text, "*3\r\n:%zu\r\n:%zu\r\n*2\r\n$1\r\nh\r\n:%zu\r\n", i, i, i + 1);
		ck_assert_int_eq(read_text(text.ptr, text.len) == NULL, count == SLOT_MASTERS_MAX);
	}
}
END_TEST

START_TEST(numbers_are_looked_for_in_steps)
{
	struct slot_numbers *numbers = xcalloc(1, sizeof(*numbers));
	char name[16];
	size_t steps = 0;

	while (!slot_numbers_go_on(numbers, "", 1000))
		steps++;
	ck_assert_uint_gt(steps, 100);
	ck_assert_uint_lt(steps, 300);
	for (uint16_t slot = 0; slot < SLOTS; slot += 97) {
		snprintf(name, sizeof(name), "x{%u}y", slot_numbers_of(numbers, "", slot));
		ck_assert_uint_eq(slot_of(slice_of(name)), slot);
	}
	ck_assert_uint_lt(numbers->tried, 300000);
	xfree(numbers);
	numbers = xcalloc(1, sizeof(*numbers));
	snprintf(name, sizeof(name), "%u", slot_numbers_of(numbers, "", 77));
	ck_assert_uint_eq(slot_of(slice_of(name)), 77);
	xfree(numbers);
}
END_TEST

int
main(void)
{
	return testing_main("link/slots", setup, teardown,
	    (const TTest *[]){slots_of_names_are_those_of_redis,
		numbers_of_all_slots_are_looked_for_once, numbers_are_looked_for_in_steps,
		each_slot_has_the_master_that_the_reply_names_first,
		a_host_that_is_left_out_is_the_one_that_was_asked,
		a_master_that_cannot_be_reached_serves_nothing, wrong_shapes_are_refused,
		hosts_have_a_limit_and_no_nul, hosts_have_letters_digits_and_a_few_signs_only,
		there_are_at_most_256_masters, NULL});
}
