#include "config.h"

#include "link/engine_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/wire_form.h"
#include "resp/reply.h"
#include "resp/writer.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define MOST "9007199254740991" /* 2^53 - 1 */
#define TOO_MUCH "9007199254740992"
#define LAST "4503599627370495" /* 2^52 - 1 */
#define TOO_LATE "4503599627370496"

static struct buffer reply;

static void
teardown(void)
{
	buffer_release(&reply);
}

/* The value of `reply`, which is empty afterwards. */
static struct resp_value *
value_of_reply(void)
{
	struct resp_reader *reader = resp_reader_new(1 << 26, 8);
	struct resp_value *value = NULL;

	resp_reader_feed(reader, reply.ptr, reply.len);
	ck_assert_int_eq(resp_reader_next(reader, &value), 1);
	resp_reader_free(reader);
	buffer_clear(&reply);
	return value;
}

/* Frames */

static enum engine_frame_result
read_frame(struct slice text, struct engine_frame *frame)
{
	return engine_frame_read(text, SLICE(SECRET), frame);
}

START_TEST(a_frame_is_read)
{
	struct slice text = SLICE("\0ff1 " SECRET " 12-34 5 pay load");
	struct engine_frame frame;

	ck_assert_int_eq(read_frame(text, &frame), ENGINE_FRAME_READ);
	ck_assert(frame.position.epoch == 12 && frame.position.seq == 34);
	ck_assert_uint_eq(frame.number, 5);
	ck_assert(slice_is(frame.payload, "pay load"));
	text = SLICE("\0ff1 " SECRET " " MOST "-" LAST " " MOST " \0\n");
	ck_assert_int_eq(read_frame(text, &frame), ENGINE_FRAME_READ);
	ck_assert_uint_eq(frame.position.epoch, ENGINE_NUMBER_MAX - 1);
	ck_assert_uint_eq(frame.position.seq, ENGINE_SEQ_MAX - 1);
	ck_assert_uint_eq(frame.number, ENGINE_NUMBER_MAX - 1);
	ck_assert(slice_eq(frame.payload, SLICE("\0\n")));
}
END_TEST

START_TEST(a_mark_is_read)
{
	struct engine_frame frame;

	ck_assert_int_eq(
	    read_frame(SLICE("\0ff1 " SECRET " 12-34 5d "), &frame), ENGINE_FRAME_READ);
	ck_assert(frame.deletes && frame.number == 5 && frame.payload.len == 0);
	ck_assert_int_eq(
	    read_frame(SLICE("\0ff1 " SECRET " 12-34 5 d"), &frame), ENGINE_FRAME_READ);
	ck_assert(!frame.deletes);
	ck_assert_int_eq(read_frame(SLICE("\0ff1 " SECRET " 12-34 d "), &frame), ENGINE_FRAME_BAD);
	ck_assert_int_eq(
	    read_frame(SLICE("\0ff1 " SECRET " 12-34 5dd "), &frame), ENGINE_FRAME_BAD);
}
END_TEST

START_TEST(a_frame_that_is_cut_anywhere_is_none_unless_its_payload_is_shorter)
{
	static const char whole[] = "\0ff1 " SECRET " 12-34 5 payload";
	const size_t secret = ENGINE_FRAME_LEN + strlen(SECRET) + 1;
	const size_t head = sizeof(whole) - 1 - strlen("payload");
	struct engine_frame frame;

	for (size_t len = 0; len < sizeof(whole); len++) {
		enum engine_frame_result expected = len < ENGINE_FRAME_LEN ? ENGINE_FRAME_NONE
						    : len < secret         ? ENGINE_FRAME_FORGED
						    : len < head           ? ENGINE_FRAME_BAD
									   : ENGINE_FRAME_READ;
		char *copy = malloc(len + 1); /* so that a sanitizer sees a read behind it */

		memcpy(copy, whole, len);
		ck_assert_int_eq(read_frame((struct slice){copy, len}, &frame), expected);
		if (expected == ENGINE_FRAME_READ)
			ck_assert_uint_eq(frame.payload.len, len - head);
		free(copy);
	}
}
END_TEST

START_TEST(other_messages_are_not_frames)
{
	static const struct slice others[] = {{"", 0}, {NULL, 0}, {"ff1 " SECRET " 1-1 1 x", 20},
	    {"\0ff1", 4}, {"\0ff2 1-1 1 ", 12}, {"\0\0", 2}, {"7-3 text", 8}};
	struct engine_frame frame;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_int_eq(read_frame(others[i], &frame), ENGINE_FRAME_NONE);
}
END_TEST

START_TEST(a_frame_without_the_secret_is_forged)
{
	static const struct slice forged[] = {SLICE("\0ff1 "), SLICE("\0ff1  1-1 1 x"),
	    SLICE("\0ff1 1-1 1 x"), SLICE("\0ff1 0123456789abcdef0123456789abcdeF 1-1 1 x"),
	    SLICE("\0ff1 0123456789abcdef0123456789abcde 1-1 1 x"),
	    SLICE("\0ff1 " SECRET "0 1-1 1 x"), SLICE("\0ff1 " SECRET)};
	struct engine_frame frame;

	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++)
		ck_assert_int_eq(read_frame(forged[i], &frame), ENGINE_FRAME_FORGED);
	/* There is no secret yet. */
	ck_assert_int_eq(
	    engine_frame_read(SLICE("\0ff1  1-1 1 x"), SLICE(""), &frame), ENGINE_FRAME_FORGED);
}
END_TEST

START_TEST(a_frame_with_a_bad_field_is_bad)
{
	static const char *const heads[] = {"0-1 1 ", "1-0 1 ", "1-1 0 ", TOO_MUCH "-1 1 ",
	    "1-" TOO_LATE " 1 ", "1-1 " TOO_MUCH " ", "1-18446744073709551615 1 ",
	    "1-18446744073709551616 1 ", "1-1 18446744073709551616 ", "01-1 1 ", "1-01 1 ",
	    "1-1 01 ", "1-1 +1 ", "1-1 -1 ", "-1 1 ", "1- 1 ", "1 1 ", " 1-1 1 ", "1-1  1 ",
	    "1-1 1", "1-1 x ", "1-1 1\n ", "", " ", "   ", "1.5-1 1 ", "1-1 1e3 "};
	struct engine_frame frame;

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		buffer_clear(&reply);
		buffer_append_slice(&reply, SLICE("\0ff1 " SECRET " "));
		buffer_append_str(&reply, heads[i]);
		ck_assert_msg(
		    read_frame(buffer_slice(&reply), &frame) == ENGINE_FRAME_BAD, "%s", heads[i]);
	}
}
END_TEST

START_TEST(a_frame_without_spaces_is_not_searched_to_its_end)
{
	struct engine_frame frame;

	buffer_append_slice(&reply, SLICE("\0ff1 " SECRET " "));
	for (int i = 0; i < 1000; i++)
		buffer_append_str(&reply, "1");
	buffer_append_str(&reply, "-1 1 x");
	ck_assert_int_eq(read_frame(buffer_slice(&reply), &frame), ENGINE_FRAME_BAD);
}
END_TEST

/* Greetings */

static bool
read_greeting(const char *text, struct engine_greeting *greeting)
{
	struct resp_value *value;
	bool is_valid;

	buffer_append_str(&reply, text);
	value = value_of_reply();
	is_valid = engine_greeting_read(value, greeting);
	resp_value_free(value);
	return is_valid;
}

#define GREETING "*6\r\n$1\r\n1\r\n$1\r\n0\r\n:1\r\n$32\r\n" SECRET "\r\n"
#define AT_ONCE "$1\r\n0\r\n"
#define NO_HOLES "$0\r\n\r\n" AT_ONCE
#define S32 "$32\r\n" SECRET "\r\n" NO_HOLES

START_TEST(a_greeting_is_read)
{
	struct engine_greeting greeting;

	buffer_append_str(&reply, "*6\r\n$2\r\n12\r\n$1\r\n0\r\n:1\r\n" S32);
	{
		struct resp_value *value = value_of_reply();

		ck_assert(engine_greeting_read(value, &greeting));
		ck_assert(slice_is(greeting.secret, SECRET));
		resp_value_free(value);
	}
	ck_assert_uint_eq(greeting.quiet_us, 0);
	ck_assert(greeting.newest.epoch == 12 && greeting.newest.seq == 0 && greeting.is_same);
	ck_assert(
	    read_greeting("*6\r\n$16\r\n" MOST "\r\n$16\r\n" LAST
			  "\r\n:0\r\n$1\r\ns\r\n$19\r\n11-4294967305 20-30\r\n$7\r\n3000000\r\n",
		&greeting));
	ck_assert_uint_eq(greeting.newest.epoch, ENGINE_NUMBER_MAX - 1);
	ck_assert_uint_eq(greeting.newest.seq, ENGINE_SEQ_MAX - 1);
	ck_assert(!greeting.is_same);
	ck_assert_uint_eq(greeting.quiet_us, ENGINE_QUIET_US);
	ck_assert_uint_eq(greeting.hole_count, 2);
	ck_assert(greeting.holes[0].first == 11 && greeting.holes[0].last == 4294967305);
	ck_assert(greeting.holes[1].first == 20 && greeting.holes[1].last == 30);
}
END_TEST

START_TEST(a_bad_greeting_is_refused)
{
	static const char *const bad[] = {"*0\r\n", "*-1\r\n", "_\r\n", ":1\r\n", "$1\r\n1\r\n",
	    "-ERR no\r\n", "*3\r\n$1\r\n1\r\n$1\r\n0\r\n:1\r\n",
	    "*6\r\n$1\r\n0\r\n$1\r\n0\r\n:1\r\n" S32,
	    "*7\r\n$1\r\n1\r\n$1\r\n0\r\n:1\r\n" S32 ":1\r\n", "*6\r\n:1\r\n$1\r\n0\r\n:1\r\n" S32,
	    "*6\r\n$1\r\n1\r\n:0\r\n:1\r\n" S32, "*6\r\n$1\r\n1\r\n$1\r\n0\r\n$1\r\n1\r\n" S32,
	    "*6\r\n_\r\n$1\r\n0\r\n:1\r\n" S32, "*6\r\n$0\r\n\r\n$1\r\n0\r\n:1\r\n" S32,
	    "*6\r\n$16\r\n" TOO_MUCH "\r\n$1\r\n0\r\n:1\r\n" S32,
	    "*6\r\n$1\r\n1\r\n$16\r\n" TOO_LATE "\r\n:1\r\n" S32,
	    "*6\r\n$2\r\n-1\r\n$1\r\n0\r\n:1\r\n" S32, "*6\r\n$1\r\n1\r\n$2\r\n-1\r\n:1\r\n" S32,
	    "*6\r\n$2\r\n01\r\n$1\r\n0\r\n:1\r\n" S32, "*6\r\n*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n",
	    "%3\r\n$1\r\n1\r\n$1\r\n1\r\n:1\r\n" S32 ":1\r\n",
	    "*6\r\n$1\r\n1\r\n$1\r\n0\r\n:1\r\n_\r\n" NO_HOLES,
	    "*6\r\n$1\r\n1\r\n$1\r\n0\r\n:1\r\n$0\r\n\r\n" NO_HOLES,
	    "*6\r\n$1\r\n1\r\n$1\r\n0\r\n:1\r\n$33\r\n" SECRET "0\r\n" NO_HOLES,
	    GREETING "_\r\n" AT_ONCE, GREETING "$1\r\n \r\n" AT_ONCE,
	    GREETING "$1\r\n1\r\n" AT_ONCE, GREETING "$3\r\n2-1\r\n" AT_ONCE,
	    GREETING "$4\r\n 1-2\r\n" AT_ONCE, GREETING "$5\r\n1-2-3\r\n" AT_ONCE,
	    GREETING "$0\r\n\r\n_\r\n", GREETING "$0\r\n\r\n$7\r\n3000001\r\n",
	    GREETING "$0\r\n\r\n$1\r\nx\r\n"};
	struct engine_greeting greeting;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!read_greeting(bad[i], &greeting), "%zu", i);
}
END_TEST

/* Loads: the channel "c" with messages 3, 4, 5 at 70, 80, 90, the newest first. */
#define HEAD 6
#define FIELDS 4

static const char *const head[HEAD] = {"c", "0", "7", "100", "20", "5 90 0"};
static const char *const newest_first[3][FIELDS] = {
    {"7-90", "5", "10", "five"}, {"7-80", "4", "20", "four"}, {"7-70", "3", "30", ""}};

/* Appends the load with one item of the head replaced (0 to 5), or one field of a message (6 ...
 * 17); `with` NULL: by a number. */
static void
put_load(int replaced, const char *with)
{
	int at = 0;

	resp_put_array(&reply, HEAD + 3);
	for (size_t i = 0; i < HEAD; i++, at++)
		if (at == replaced && with == NULL)
			resp_put_int(&reply, 1);
		else
			resp_put_bulk_str(&reply, at == replaced ? with : head[i]);
	for (size_t i = 0; i < 3; i++) {
		resp_put_array(&reply, FIELDS);
		for (size_t k = 0; k < FIELDS; k++, at++)
			if (at == replaced && with == NULL)
				resp_put_int(&reply, 1);
			else
				resp_put_bulk_str(
				    &reply, at == replaced ? with : newest_first[i][k]);
	}
}

static bool
is_refused(void)
{
	struct resp_value *value = value_of_reply();
	struct engine_load load;
	bool is_valid = engine_load_read(value, &load);

	if (is_valid)
		engine_load_release(&load);
	resp_value_free(value);
	return !is_valid;
}

START_TEST(a_load_is_read_with_the_oldest_message_first)
{
	struct resp_value *value;
	struct engine_load load;

	put_load(-1, "");
	value = value_of_reply();
	ck_assert(engine_load_read(value, &load));
	ck_assert(slice_is(load.channel, "c"));
	ck_assert(load.newest.epoch == 7 && load.newest.seq == 100);
	ck_assert(load.after_seq == 0 && load.floor_seq == 20);
	ck_assert(load.number == 5 && load.channel_seq == 90 && load.start == 0);
	ck_assert_uint_eq(load.count, 3);
	ck_assert(!load.is_cut);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(load.messages[i].position.seq, 70 + 10 * i);
		ck_assert_uint_eq(load.messages[i].number, 3 + i);
		ck_assert_uint_eq(load.ages_us[i], 30000 - 10000 * i);
		ck_assert(slice_is(load.messages[i].payload, newest_first[2 - i][3]));
	}
	engine_load_release(&load);
	ck_assert_ptr_null(load.messages);
	resp_value_free(value);
}
END_TEST

START_TEST(a_load_with_a_bad_item_is_refused)
{
	static const struct {
		int replaced;
		const char *with;
	} bad[] = {{1, "x"}, {1, "-1"}, {1, ""}, {1, TOO_MUCH}, {1, "70"}, {1, "100"}, {2, "0"},
	    {2, "6"}, {2, "8"}, {2, TOO_MUCH}, {3, "89"}, {3, "x"}, {3, TOO_LATE}, {4, "101"},
	    {4, "x"}, {4, ""}, {5, ""}, {5, "5"}, {5, "5 90"}, {5, "5 90 "}, {5, "5 90 6"},
	    {5, "5 101 0"}, {5, "0 90 0"}, {5, "5 0 0"}, {5, "x 90 0"}, {5, "5 x 0"}, {5, "5 90 x"},
	    {5, "5 90 0 6 80 85"}, {5, "5 90 0 5 85 85"}, {5, "5 90 0 5 90"}, {5, "5 90 0 0 0 5"},
	    {5, "5 90 0 5 90 101"}, {5, "5 90 0 x 90 95"}, {5, "5 90 0 0"}, {5, "5  90 0"},
	    {5, TOO_MUCH " 90 0"}, {6, "8-90"}, {6, "7-101"}, {6, "7-80"}, {6, "7-0"}, {6, "90"},
	    {6, ""}, {6, "7-" TOO_LATE}, {7, "0"}, {7, "x"}, {7, TOO_MUCH}, {8, "x"}, {8, "-1"},
	    {8, TOO_MUCH}, {10, "7-90"}, {10, "7-70"}, {10, "7-60"}, {14, "7-80"}, {14, "6-70"}};

	for (int i = 0; i < HEAD + 3 * FIELDS; i++) {
		put_load(i, NULL);
		ck_assert_msg(is_refused(), "a number as item %d", i);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_load(bad[i].replaced, bad[i].with);
		ck_assert_msg(is_refused(), "item %d: %s", bad[i].replaced, bad[i].with);
	}
}
END_TEST

START_TEST(a_load_that_lacks_items_is_refused)
{
	static const char *const bad[] = {"*-1\r\n", "_\r\n", ":1\r\n", "-ERR no\r\n",
	    "$1\r\nc\r\n", "+OK\r\n", "%3\r\n+a\r\n+a\r\n+a\r\n+a\r\n+a\r\n+a\r\n"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buffer_append_str(&reply, bad[i]);
		ck_assert(is_refused());
	}
	for (size_t count = 0; count < HEAD; count++) {
		resp_put_array(&reply, count);
		for (size_t i = 0; i < count; i++)
			resp_put_bulk_str(&reply, head[i]);
		ck_assert(is_refused());
	}
	for (size_t count = 0; count < 8; count++) { /* of a message */
		resp_put_array(&reply, HEAD + 1);
		for (size_t i = 0; i < HEAD; i++)
			resp_put_bulk_str(&reply, head[i]);
		resp_put_array(&reply, count);
		for (size_t i = 0; i < count; i++)
			resp_put_bulk_str(&reply, i < FIELDS ? newest_first[0][i] : "");
		ck_assert_int_eq(is_refused(), count != FIELDS);
	}
}
END_TEST

static void
put_many(size_t count)
{
	char text[64];

	resp_put_array(&reply, HEAD + count);
	resp_put_bulk_str(&reply, "c");
	resp_put_bulk_str(&reply, "0");
	resp_put_bulk_str(&reply, "7");
	resp_put_bulk_str(&reply, "20000");
	resp_put_bulk_str(&reply, "0");
	resp_put_bulk_str(&reply, "20000 20000 0");
	for (size_t i = 0; i < count; i++) {
		resp_put_array(&reply, FIELDS);
		snprintf(text, sizeof(text), "7-%zu", 20000 - i);
		resp_put_bulk_str(&reply, text);
		resp_put_bulk_str(&reply, text + 2);
		resp_put_bulk_str(&reply, "0");
		resp_put_bulk_str(&reply, "x");
	}
}

START_TEST(a_load_has_at_most_the_messages_that_were_asked_for)
{
	put_many(ENGINE_LOAD_MESSAGES);
	ck_assert(!is_refused());
	put_many(ENGINE_LOAD_MESSAGES + 1);
	ck_assert(is_refused());
}
END_TEST

/* Loads whose messages have these numbers, the oldest first; number n is at n * 10. */
static void
read_numbers(const char *newest, const char *floor, const char *numbers, struct engine_load *load,
    struct resp_value **value)
{
	size_t count = strlen(numbers);
	char text[32];

	resp_put_array(&reply, HEAD + count);
	resp_put_bulk_str(&reply, "c");
	resp_put_bulk_str(&reply, "0");
	resp_put_bulk_str(&reply, "7");
	resp_put_bulk_str(&reply, "100");
	resp_put_bulk_str(&reply, floor);
	resp_put_bulk_str(&reply, newest);
	for (size_t i = count; i > 0; i--) {
		resp_put_array(&reply, FIELDS);
		snprintf(text, sizeof(text), "7-%c0", numbers[i - 1]);
		resp_put_bulk_str(&reply, text);
		snprintf(text, sizeof(text), "%c", numbers[i - 1]);
		resp_put_bulk_str(&reply, text);
		resp_put_bulk_str(&reply, "0");
		resp_put_bulk_str(&reply, "x");
	}
	*value = value_of_reply();
	ck_assert(engine_load_read(*value, load));
}

/* [count, first number, is_cut, complete_seq] */
static void
assert_load(const char *newest, const char *floor, const char *numbers, size_t count,
    uint64_t first, bool is_cut, uint64_t complete_seq)
{
	struct resp_value *value;
	struct engine_load load;

	read_numbers(newest, floor, numbers, &load, &value);
	ck_assert_uint_eq(load.count, count);
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_eq(load.messages[i].number, first + i);
		ck_assert_uint_eq(load.messages[i].position.seq, (first + i) * 10);
	}
	ck_assert_int_eq(load.is_cut, is_cut);
	ck_assert_uint_eq(engine_load_complete_seq(&load), complete_seq);
	engine_load_release(&load);
	resp_value_free(value);
}

START_TEST(messages_before_a_hole_are_left_out)
{
	assert_load("5 50 0", "0", "345", 3, 3, false, 29);
	assert_load("5 50 0", "0", "1345", 3, 3, true, 29);
	assert_load("5 50 0", "0", "1245", 2, 4, true, 39);
	assert_load("5 50 0", "0", "135", 1, 5, true, 49);
	assert_load("5 50 2", "0", "15", 1, 5, true, 49);
	assert_load("5 50 4", "0", "15", 1, 5, true, 49);  /* 1: from before it was forgotten */
	assert_load("6 60 0", "0", "345", 0, 0, true, 60); /* the newest is missing */
	assert_load("0 0 0", "0", "345", 3, 3, false, 29); /* the numbers are */
}
END_TEST

/* Whether and how many messages behind a number are missing. */
static void
assert_missed(const char *newest, const char *floor, const char *numbers, uint64_t was,
    uint64_t newest_seq, uint64_t missed)
{
	struct resp_value *value;
	struct engine_load load;

	read_numbers(newest, floor, numbers, &load, &value);
	ck_assert_uint_eq(engine_load_missed(&load, was, newest_seq), missed);
	engine_load_release(&load);
	resp_value_free(value);
}

START_TEST(a_load_says_how_many_messages_are_missing_before_it)
{
	assert_missed("5 50 0", "0", "345", 2, 20, 0);
	assert_missed("5 50 0", "0", "345", 1, 10, 1);
	assert_missed("5 50 0", "0", "345", 0, 0, 2);
	assert_missed("5 50 0", "0", "", 2, 20, 3);
	assert_missed("5 50 0", "0", "", 5, 50, 0);
	/* It is forgotten: maybe with messages that this node has not seen. */
	assert_missed("0 0 0", "20", "", 2, 20, 0);
	assert_missed("0 0 0", "21", "", 2, 20, WIRE_MISSED_UNKNOWN);
	/* It was, and has begun again at 40, with the number 80. */
	assert_missed("81 50 79", "20", "", 2, 20, 2);
	assert_missed("81 50 79", "21", "", 2, 20, WIRE_MISSED_UNKNOWN);
	assert_missed("81 50 79", "21", "", 80, 40, 1);
	assert_missed("81 50 79", "21", "", 2, 50, 0);
	/* The engine has lost that it was forgotten, and this node has not. */
	assert_missed("81 50 79", "20", "", 2, 45, WIRE_MISSED_UNKNOWN);
	assert_missed("81 50 79", "20", "", 100, 45, 0);
}
END_TEST

START_TEST(a_load_behind_a_mark_is_complete_from_the_message_before_it)
{
	assert_load("5 50 0 5 50 55", "0", "", 0, 5, false, 50);
	assert_load("7 70 0 5 50 55", "0", "67", 2, 6, false, 50);
	assert_load("8 80 0 5 50 55", "0", "78", 2, 7, false, 69); /* 6 was trimmed */
	assert_load("8 80 0 5 50 55", "0", "68", 1, 8, true, 79);
}
END_TEST

START_TEST(a_load_says_from_where_on_it_has_all_messages)
{
	/* All since the channel's first one, and no other channel was forgotten: all. */
	assert_load("5 50 0", "0", "12345", 5, 1, false, 0);
	assert_load("5 50 2", "0", "345", 3, 3, false, 0);
	/* It may have been forgotten before its first message, up to the floor. */
	assert_load("5 50 2", "25", "345", 3, 3, false, 25);
	assert_load("5 50 2", "29", "345", 3, 3, false, 29);
	/* Another one was forgotten later: this channel's messages before the first are older. */
	assert_load("5 50 2", "30", "345", 3, 3, false, 29);
	assert_load("5 50 2", "100", "345", 3, 3, false, 29);
	/* Some are not kept any more. */
	assert_load("5 50 1", "0", "345", 3, 3, false, 29);
	assert_load("5 50 1", "20", "345", 3, 3, false, 29);
	assert_load("5 50 0", "0", "", 0, 0, false, 50);
	assert_load("5 50 0", "70", "", 0, 0, false, 50);
	/* It never was, or is forgotten. */
	assert_load("0 0 0", "0", "", 0, 0, false, 0);
	assert_load("0 0 0", "70", "", 0, 0, false, 70);
}
END_TEST

int
main(void)
{
	return testing_main("link/engine_frame", NULL, teardown,
	    (const TTest *[]){a_frame_is_read, a_mark_is_read,
		a_frame_that_is_cut_anywhere_is_none_unless_its_payload_is_shorter,
		other_messages_are_not_frames, a_frame_with_a_bad_field_is_bad,
		a_frame_without_spaces_is_not_searched_to_its_end,
		a_frame_without_the_secret_is_forged, a_greeting_is_read, a_bad_greeting_is_refused,
		a_load_is_read_with_the_oldest_message_first, a_load_with_a_bad_item_is_refused,
		a_load_that_lacks_items_is_refused,
		a_load_has_at_most_the_messages_that_were_asked_for,
		messages_before_a_hole_are_left_out,
		a_load_says_how_many_messages_are_missing_before_it,
		a_load_behind_a_mark_is_complete_from_the_message_before_it,
		a_load_says_from_where_on_it_has_all_messages, NULL});
}
