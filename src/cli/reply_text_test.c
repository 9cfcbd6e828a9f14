#include "config.h"

#include "cli/reply_text.h"

#include <string.h>

#include "base/testing.h"
#include "resp/reply.h"

static struct buffer out;

static void
teardown(void)
{
	buffer_release(&out);
}

typedef void print_fn(struct buffer *out, const struct resp_value *value);

/* The text of the value encoded in wire. */
static bool
prints(print_fn *print, const char *wire, const char *text)
{
	struct resp_reader *reader = resp_reader_new(4096, 16);
	struct resp_value *value;

	resp_reader_feed(reader, wire, strlen(wire));
	ck_assert_int_eq(resp_reader_next(reader, &value), 1);
	buffer_clear(&out);
	print(&out, value);
	resp_value_free(value);
	resp_reader_free(reader);
	return slice_is(buffer_slice(&out), text);
}

START_TEST(pretty_names_every_type)
{
	print_fn *pretty = reply_text_pretty;

	ck_assert(prints(pretty, "+OK\r\n", "OK\n"));
	ck_assert(prints(pretty, "-ERR no\r\n", "(error) ERR no\n"));
	ck_assert(prints(pretty, ":-7\r\n", "(integer) -7\n"));
	ck_assert(prints(pretty, "$3\r\na\"\n\r\n", "\"a\\\"\\n\"\n"));
	ck_assert(prints(pretty, "$-1\r\n", "(nil)\n"));
	ck_assert(prints(pretty, "_\r\n", "(nil)\n"));
	ck_assert(prints(pretty, ",1.5\r\n", "(double) 1.5\n"));
	ck_assert(prints(pretty, "#t\r\n", "(true)\n"));
	ck_assert(prints(pretty, "#f\r\n", "(false)\n"));
	ck_assert(prints(pretty, "=6\r\ntxt:hi\r\n", "hi\n"));
	ck_assert(prints(pretty, "*0\r\n", "(empty array)\n"));
	ck_assert(prints(pretty, "~0\r\n", "(empty set)\n"));
	ck_assert(prints(pretty, "%0\r\n", "(empty hash)\n"));
}
END_TEST

START_TEST(pretty_numbers_items_and_indents_nested_ones)
{
	ck_assert(prints(reply_text_pretty, "*2\r\n*2\r\n:1\r\n*1\r\n$1\r\na\r\n:2\r\n",
	    "1) 1) (integer) 1\n"
	    "   2) 1) \"a\"\n"
	    "2) (integer) 2\n"));
}
END_TEST

START_TEST(pretty_aligns_the_numbers_of_ten_items)
{
	ck_assert(prints(reply_text_pretty,
	    "*10\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n*2\r\n:8\r\n:9\r\n",
	    " 1) (integer) 0\n 2) (integer) 0\n 3) (integer) 0\n 4) (integer) 0\n"
	    " 5) (integer) 0\n 6) (integer) 0\n 7) (integer) 0\n 8) (integer) 0\n"
	    " 9) (integer) 0\n10) 1) (integer) 8\n    2) (integer) 9\n"));
}
END_TEST

START_TEST(pretty_puts_key_and_value_of_a_map_on_a_line)
{
	ck_assert(prints(reply_text_pretty, "%2\r\n+a\r\n:1\r\n$1\r\nb\r\n~1\r\n:2\r\n",
	    "1# a => (integer) 1\n2# \"b\" => \n   1~ (integer) 2\n"));
}
END_TEST

START_TEST(raw_is_bytes_and_newlines_alone)
{
	print_fn *raw = reply_text_raw;

	ck_assert(prints(raw, "$2\r\na\"\r\n", "a\"\n"));
	ck_assert(prints(raw, ":12\r\n", "12\n"));
	ck_assert(prints(raw, "$-1\r\n", "\n"));
	ck_assert(prints(raw, "#t\r\n", "true\n"));
	ck_assert(prints(raw, ",1.50\r\n", "1.50\n"));
	ck_assert(prints(raw, "*3\r\n:1\r\n*2\r\n+a\r\n$1\r\nb\r\n:2\r\n", "1\na\nb\n2\n"));
	ck_assert(prints(raw, "%1\r\n+k\r\n:1\r\n", "k\n1\n"));
	ck_assert(prints(raw, "*0\r\n", ""));
}
END_TEST

START_TEST(json_is_one_line_of_the_same_shape)
{
	print_fn *json = reply_text_json;

	ck_assert(prints(json, "*4\r\n:1\r\n$1\r\na\r\n_\r\n#f\r\n", "[1,\"a\",null,false]\n"));
	ck_assert(prints(json, "%2\r\n+k\r\n*0\r\n:7\r\n%0\r\n", "{\"k\":[],\"7\":{}}\n"));
	ck_assert(prints(json, ",0.25\r\n", "0.25\n"));
	ck_assert(prints(json, ",inf\r\n", "\"inf\"\n"));
	ck_assert(prints(json, "*1\r\n-ERR no\r\n", "[{\"error\":\"ERR no\"}]\n"));
	ck_assert(prints(json, "$0\r\n\r\n", "\"\"\n"));
}
END_TEST

START_TEST(json_of_bytes_that_are_no_text_is_base64)
{
	ck_assert(prints(reply_text_json, "$1\r\n\xff\r\n", "{\"base64\":\"/w==\"}\n"));
	ck_assert(prints(reply_text_json, "%1\r\n$2\r\nk\xff\r\n:1\r\n", "{\"k\\\\xff\":1}\n"));
}
END_TEST

int
main(void)
{
	return testing_main("cli/reply_text", NULL, teardown,
	    (const TTest *[]){pretty_names_every_type, pretty_numbers_items_and_indents_nested_ones,
		pretty_aligns_the_numbers_of_ten_items,
		pretty_puts_key_and_value_of_a_map_on_a_line, raw_is_bytes_and_newlines_alone,
		json_is_one_line_of_the_same_shape, json_of_bytes_that_are_no_text_is_base64,
		NULL});
}
