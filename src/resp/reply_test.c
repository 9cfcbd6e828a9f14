#include "config.h"

#include "resp/reply.h"

#include <check.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/testing.h"

static struct resp_reader *reader;
static struct buffer heard; /* the values, as text */
static size_t max_bytes;

static void
setup(void)
{
	max_bytes = 1 << 20;
	reader = resp_reader_new(max_bytes, 8);
}

static void
teardown(void)
{
	resp_reader_free(reader);
	buffer_release(&heard);
}

static void
restart(void)
{
	resp_reader_free(reader);
	reader = resp_reader_new(max_bytes, 8);
}

static void note(const struct resp_value *value);

static void
note_items(const struct resp_value *value, const char *opening, const char *closing)
{
	size_t i;

	buffer_append_str(&heard, opening);
	for (i = 0; i < value->count; i++) {
		if (i > 0)
			buffer_append_str(&heard, " ");
		note(&value->items[i]);
	}
	buffer_append_str(&heard, closing);
}

static void
note_text(const struct resp_value *value, const char *name)
{
	buffer_append_str(&heard, name);
	buffer_append_escaped(&heard, value->text);
	ck_assert_int_eq(value->text.ptr[value->text.len], '\0');
}

static void
note(const struct resp_value *value)
{
	switch (value->type) {
	case RESP_TYPE_SIMPLE:
		note_text(value, "+");
		break;
	case RESP_TYPE_ERROR:
		note_text(value, "-");
		break;
	case RESP_TYPE_INT:
		buffer_appendf(&heard, ":%" PRId64, value->number);
		break;
	case RESP_TYPE_BULK:
		note_text(value, "$");
		break;
	case RESP_TYPE_NULL:
		buffer_append_str(&heard, "null");
		break;
	case RESP_TYPE_ARRAY:
		note_items(value, "[", "]");
		break;
	case RESP_TYPE_MAP:
		note_items(value, "{", "}");
		break;
	case RESP_TYPE_SET:
		note_items(value, "(", ")");
		break;
	case RESP_TYPE_PUSH:
		note_items(value, ">[", "]");
		break;
	case RESP_TYPE_DOUBLE:
		buffer_appendf(&heard, ",%g", value->real);
		break;
	case RESP_TYPE_BOOL:
		buffer_appendf(&heard, "#%d", (int)value->number);
		break;
	case RESP_TYPE_VERBATIM:
		note_text(value, "=");
		break;
	case RESP_TYPE_BIGNUM:
		note_text(value, "n");
		break;
	}
}

static void
feed_in_pieces(struct slice s, size_t first, size_t each)
{
	size_t at = 0, len = first;
	struct resp_value *value;
	int got = 0;

	while (at < s.len && got >= 0) {
		if (len > s.len - at)
			len = s.len - at;
		resp_reader_feed(reader, s.ptr + at, len);
		at += len;
		len = each;
		while ((got = resp_reader_next(reader, &value)) > 0) {
			note(value);
			buffer_append_str(&heard, "; ");
			resp_value_free(value);
		}
	}
	if (got < 0)
		buffer_append_str(&heard, "broken");
	buffer_append(&heard, "", 1);
}

static void
check_every_split(struct slice s, const char *expected)
{
	size_t first;

	for (first = 0; first <= s.len; first++) {
		restart();
		feed_in_pieces(s, first, s.len);
		ck_assert_str_eq(heard.ptr, expected);
		buffer_clear(&heard);
	}
	restart();
	feed_in_pieces(s, 1, 1);
	ck_assert_str_eq(heard.ptr, expected);
	buffer_clear(&heard);
}

#define GIVES(literal, expected) check_every_split(SLICE(literal), (expected))

START_TEST(resp2_replies_are_read_whatever_the_split)
{
	GIVES("+OK\r\n", "+OK; ");
	GIVES("+\r\n", "+; ");
	GIVES("-ERR unknown command\r\n", "-ERR unknown command; ");
	GIVES(
	    ":0\r\n:-1\r\n:+7\r\n:9223372036854775807\r\n", ":0; :-1; :7; :9223372036854775807; ");
	GIVES("$5\r\na\r\n\0b\r\n$0\r\n\r\n$-1\r\n", "$a\\r\\n\\x00b; $; null; ");
	GIVES("*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n", "[$message $ch $hi]; ");
	GIVES("*0\r\n*-1\r\n*2\r\n*1\r\n:1\r\n*0\r\n", "[]; null; [[:1] []]; ");
}
END_TEST

START_TEST(resp3_replies_are_read_whatever_the_split)
{
	GIVES("%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n", "{+a :1 +b [null]}; ");
	GIVES("~2\r\n#t\r\n#f\r\n", "(#1 #0); ");
	GIVES(">2\r\n$6\r\nlagged\r\n:3\r\n", ">[$lagged :3]; ");
	GIVES(",1.5\r\n,-2e3\r\n,inf\r\n,-inf\r\n,10\r\n", ",1.5; ,-2000; ,inf; ,-inf; ,10; ");
	GIVES(",nan\r\n", ",nan; ");
	GIVES("=7\r\ntxt:a\nb\r\n=4\r\nmkd:\r\n", "=a\\nb; =; ");
	GIVES("!9\r\nERR a\r\nbc\r\n", "-ERR a\\r\\nbc; ");
	GIVES("!7\r\nERR a\r\nbc\r\n", "broken");
	GIVES("(3492890328409238509324850943850943825024385\r\n(-1\r\n",
	    "n3492890328409238509324850943850943825024385; n-1; ");
}
END_TEST

START_TEST(attributes_are_passed_over_wherever_they_stand)
{
	GIVES("|1\r\n+ttl\r\n:3600\r\n+OK\r\n", "+OK; ");
	GIVES("|0\r\n+OK\r\n", "+OK; ");
	GIVES("*2\r\n|1\r\n+a\r\n*2\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "[:3 :4]; ");
	GIVES("*1\r\n|1\r\n|1\r\n+x\r\n+y\r\n+k\r\n+v\r\n:1\r\n", "[:1]; ");
	GIVES("|1\r\n+a\r\n+b\r\n", "");
}
END_TEST

START_TEST(an_incomplete_value_is_not_given)
{
	GIVES("*2\r\n:1\r\n", "");
	GIVES("$3\r\nabc\r", "");
	GIVES("+OK\r", "");
	GIVES("%1\r\n+a\r\n", "");
}
END_TEST

START_TEST(invalid_resp_is_an_error)
{
	static const char *const wrong[] = {"HTTP/1.1 200 OK\r\n", "\r\n", "+O\rK\r\n", ":x\r\n",
	    ":\r\n", ":+-1\r\n", "$x\r\n", "$\r\n", "$-2\r\n", "*-2\r\n", "%-1\r\n", "~-1\r\n",
	    ">-1\r\n", "|-1\r\n", "=-1\r\n", "=3\r\ntxt\r\n", "=4\r\ntext\r\n", "$1\r\nabc",
	    ",x\r\n", ",\r\n", ",0x10\r\n", ", 1\r\n", ",1 \r\n", ",infinity\r\n", "#x\r\n",
	    "#\r\n", "_x\r\n", "(1a\r\n", "(\r\n", "(-\r\n", "$?\r\n", "*?\r\n", "*1\r\n?\r\n"};
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct resp_value *value;

		restart();
		feed_in_pieces(slice_of(wrong[i]), 1000, 1000);
		ck_assert_msg(strcmp(heard.ptr, "broken") == 0, "%s gave %s", wrong[i], heard.ptr);
		buffer_clear(&heard);
		resp_reader_feed(reader, "+OK\r\n", 5);
		ck_assert_int_eq(resp_reader_next(reader, &value), -1);
	}
}
END_TEST

START_TEST(aggregates_lie_as_deep_as_allowed_and_no_deeper)
{
	GIVES("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "[[[[[[[[:1]]]]]]]]; ");
	GIVES("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*0\r\n", "broken");
	GIVES("|1\r\n|1\r\n|1\r\n|1\r\n|1\r\n|1\r\n|1\r\n|1\r\n|1\r\n", "broken");
}
END_TEST

START_TEST(hostile_lengths_are_refused_when_they_are_announced)
{
	static const char *const wrong[] = {"$1048577\r\n", "$9223372036854775807\r\n",
	    "$99999999999999999999\r\n", "*1048576\r\n", "*9223372036854775807\r\n",
	    "%4611686018427387904\r\n", "%9223372036854775807\r\n", "|9223372036854775807\r\n",
	    "=9223372036854775807\r\n", "!9223372036854775807\r\n"};
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		restart();
		feed_in_pieces(slice_of(wrong[i]), 1000, 1000);
		ck_assert_str_eq(heard.ptr, "broken");
		buffer_clear(&heard);
	}
}
END_TEST

START_TEST(an_announced_size_costs_nothing_until_it_arrives)
{
	size_t before = alloc_used_bytes();

	feed_in_pieces(SLICE("*10000\r\n*5000\r\n$100000\r\nabc"), 1000, 1000);
	ck_assert_str_eq(heard.ptr, "");
	ck_assert_uint_lt(alloc_used_bytes() - before, 2048);
}
END_TEST

START_TEST(a_value_costs_no_more_than_its_limit)
{
	max_bytes = 2 * sizeof(struct resp_value) + 6;
	GIVES("*1\r\n$6\r\nabcdef\r\n*1\r\n$6\r\nabcdef\r\n", "[$abcdef]; [$abcdef]; ");
	GIVES("*1\r\n$7\r\nabcdefg\r\n", "broken");
	GIVES("*1\r\n*1\r\n*0\r\n", "broken");
	max_bytes = 4 + sizeof(struct resp_value);
	GIVES("+abc\r\n", "+abc; ");
	max_bytes = 3;
	restart();
	feed_in_pieces(SLICE("+abcdef"), 1, 1); /* refused before the line ends */
	ck_assert_str_eq(heard.ptr, "broken");
}
END_TEST

START_TEST(a_large_bulk_in_small_pieces_costs_linear_memory)
{
	static char piece[1024];
	struct resp_value *value = NULL;
	size_t before = alloc_used_bytes();
	size_t sent;

	memset(piece, 'v', sizeof(piece));
	resp_reader_feed(reader, "$1040384\r\n", 10);
	for (sent = 0; sent < 1040384; sent += sizeof(piece)) {
		ck_assert_int_eq(resp_reader_next(reader, &value), 0);
		resp_reader_feed(reader, piece, sizeof(piece));
		ck_assert_uint_lt(alloc_used_bytes() - before, 2 * sent + 65536);
	}
	resp_reader_feed(reader, "\r\n", 2);
	ck_assert_int_eq(resp_reader_next(reader, &value), 1);
	ck_assert_uint_eq(value->text.len, 1040384);
	resp_value_free(value);
	resp_reader_feed(reader, "+OK\r\n", 5);
	ck_assert_int_eq(resp_reader_next(reader, &value), 1);
	resp_value_free(value);
	ck_assert_uint_lt(alloc_used_bytes() - before, 65536 + 1024);
}
END_TEST

START_TEST(many_values_in_one_feed_are_given_one_by_one)
{
	struct buffer sent = {0};
	struct resp_value *value;
	int i;

	for (i = 0; i < 10000; i++)
		buffer_appendf(&sent, "*2\r\n:%d\r\n$1\r\nx\r\n", i);
	resp_reader_feed(reader, sent.ptr, sent.len);
	for (i = 0; i < 10000; i++) {
		ck_assert_int_eq(resp_reader_next(reader, &value), 1);
		ck_assert_uint_eq(value->count, 2);
		ck_assert_int_eq(value->items[0].number, i);
		resp_value_free(value);
	}
	ck_assert_int_eq(resp_reader_next(reader, &value), 0);
	buffer_release(&sent);
}
END_TEST

int
main(void)
{
	return testing_main("resp/reply", setup, teardown,
	    (const TTest *[]){resp2_replies_are_read_whatever_the_split,
		resp3_replies_are_read_whatever_the_split,
		attributes_are_passed_over_wherever_they_stand, an_incomplete_value_is_not_given,
		invalid_resp_is_an_error, aggregates_lie_as_deep_as_allowed_and_no_deeper,
		hostile_lengths_are_refused_when_they_are_announced,
		an_announced_size_costs_nothing_until_it_arrives,
		a_value_costs_no_more_than_its_limit,
		a_large_bulk_in_small_pieces_costs_linear_memory,
		many_values_in_one_feed_are_given_one_by_one, NULL});
}
