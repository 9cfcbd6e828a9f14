#include "config.h"

#include "json/reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/testing.h"

static struct buffer out;

static void
teardown(void)
{
	buffer_release(&out);
}

static struct json_value
parse(const char *text)
{
	struct json_value value = {JSON_NULL, {NULL, 0}};

	ck_assert_msg(json_parse(slice_of(text), &value), "%s", text);
	return value;
}

#define ASSERT_SLICE(s, literal)                                                                   \
	ck_assert_msg(slice_eq(s, SLICE(literal)), "%.*s", (int)(s).len, (s).ptr)

START_TEST(each_type_of_value_is_known)
{
	ck_assert_int_eq(parse("null").type, JSON_NULL);
	ck_assert_int_eq(parse("false").type, JSON_FALSE);
	ck_assert_int_eq(parse("true").type, JSON_TRUE);
	ck_assert_int_eq(parse("-0.5e+3").type, JSON_NUMBER);
	ck_assert_int_eq(parse("\"\"").type, JSON_STRING);
	ck_assert_int_eq(parse("[]").type, JSON_ARRAY);
	ck_assert_int_eq(parse("{}").type, JSON_OBJECT);
}
END_TEST

START_TEST(a_value_is_the_slice_without_the_blanks_around_it)
{
	ASSERT_SLICE(parse(" \t\r\n{ \"a\" : [ 1 , 2 ] } \n").text, "{ \"a\" : [ 1 , 2 ] }");
	ASSERT_SLICE(parse("12345678901234567890123456789.000e-7").text,
	    "12345678901234567890123456789.000e-7");
}
END_TEST

START_TEST(valid_texts_are_taken)
{
	static const char *const good[] = {"0", "-0", "10", "0.0", "1E1", "1e-0", "[1,[2,[]],{}]",
	    "{\"\":\"\"}", "{\"a\":1,\"a\":2}", "[null , true\t,\nfalse\r]",
	    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u00e9\\uD83D\\uDE00\\ud800\"",
	    "\"\xE2\x80\xA8 \xF0\x9F\x98\x80 \x7F\"", "{\"a\":{\"b\":[{\"c\":{}}]},\"d\":0}"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		(void)parse(good[i]);
}
END_TEST

START_TEST(invalid_texts_are_refused)
{
	static const char *const bad[] = {"", " ", "nul", "nulll", "True", "tru", "+1", "01", "-",
	    "1.", ".5", "1e", "1e+", "0x1", "NaN", "Infinity", "-Infinity", "1 2", "1,", ",", "[",
	    "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1}", "{", "}", "{1:2}", "{\"a\"}",
	    "{\"a\":}", "{\"a\":1,}", "{\"a\":1]", "{\"a\" 1}", "{,}", "{a:1}", "{\"a\":1 \"b\":2}",
	    "'a'", "\"", "\"a", "\"\\", "\"\\\"", "\"\\x41\"", "\"\\u12\"", "\"\\u12g4\"",
	    "\"\\u123", "\"a\nb\"", "\"\x1f\"", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc3\"",
	    "\xef\xbb\xbf{}", "[1]//", "/**/1", "\v1", "1\f", "[]]", "{}}", "\"a\"b", "--1",
	    "1e1.5", "[\"a\":1]"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct json_value value = {JSON_NULL, {"untouched", 9}};

		ck_assert_msg(!json_parse(slice_of(bad[i]), &value), "%s", bad[i]);
		ASSERT_SLICE(value.text, "untouched");
	}
	ck_assert(!json_parse((struct slice){NULL, 0}, &(struct json_value){0}));
	ck_assert(!json_parse(SLICE("1\0"), &(struct json_value){0}));
	ck_assert(!json_parse(SLICE("\"\0\""), &(struct json_value){0}));
}
END_TEST

/* Each text stands alone in memory of its length, so that a sanitizer sees a read behind it. */
START_TEST(every_prefix_of_a_text_is_refused_without_reading_on)
{
	struct slice text = SLICE("{\"name\":[\"\\u00e9\xC3\xA9\",true,false,null,-1.5e+7]}");

	for (size_t len = 0; len <= text.len; len++) {
		char *copy = malloc(len + 1);
		char *alone = copy + 1;
		struct json_value value;

		memcpy(alone, text.ptr, len);
		ck_assert_int_eq(json_parse((struct slice){alone, len}, &value), len == text.len);
		free(copy);
	}
}
END_TEST

START_TEST(a_control_byte_or_bad_byte_is_found_at_every_offset_of_a_string)
{
	static const char stops[] = "\x01\x1f\n\x80\xff";
	char text[50];

	for (size_t at = 1; at < sizeof(text) - 1; at++)
		for (size_t i = 0; i < sizeof(stops); i++) {
			struct json_value value;

			memset(text, 'a', sizeof(text));
			text[0] = text[sizeof(text) - 1] = '"';
			ck_assert(json_parse((struct slice){text, sizeof(text)}, &value));
			text[at] = stops[i];
			ck_assert(!json_parse((struct slice){text, sizeof(text)}, &value));
		}
}
END_TEST

START_TEST(nesting_is_limited)
{
	char text[2 * (JSON_DEPTH_MAX + 1)];
	struct json_value value;
	size_t depth = JSON_DEPTH_MAX;

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	ck_assert(json_parse((struct slice){text, 2 * depth}, &value));
	depth++;
	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	ck_assert(!json_parse((struct slice){text, 2 * depth}, &value));
}
END_TEST

START_TEST(a_million_brackets_cost_no_stack)
{
	size_t len = 1000000;
	char *text = malloc(len);
	struct json_value value;

	memset(text, '[', len);
	ck_assert(!json_parse((struct slice){text, len}, &value));
	free(text);
}
END_TEST

START_TEST(elements_and_members_come_in_their_order)
{
	struct json_iterator it = json_elements(parse("[ 1 ,\"a,]\", [2,3] ,{}]"));
	struct json_value value, name;

	ck_assert(json_next_element(&it, &value));
	ASSERT_SLICE(value.text, "1");
	ck_assert(json_next_element(&it, &value));
	ASSERT_SLICE(value.text, "\"a,]\"");
	ck_assert(json_next_element(&it, &value));
	ASSERT_SLICE(value.text, "[2,3]");
	ck_assert(json_next_element(&it, &value));
	ck_assert_int_eq(value.type, JSON_OBJECT);
	ck_assert(!json_next_element(&it, &value));
	ck_assert(!json_next_element(&it, &value));
	it = json_members(parse("{ \"a\" : 1,\"b:\":{\"c\":2} }"));
	ck_assert(json_next_member(&it, &name, &value));
	ASSERT_SLICE(name.text, "\"a\"");
	ASSERT_SLICE(value.text, "1");
	ck_assert(json_next_member(&it, &name, &value));
	ASSERT_SLICE(name.text, "\"b:\"");
	ASSERT_SLICE(value.text, "{\"c\":2}");
	ck_assert(!json_next_member(&it, &name, &value));
	it = json_elements(parse("[ ]"));
	ck_assert(!json_next_element(&it, &value));
	it = json_members(parse("{\n}"));
	ck_assert(!json_next_member(&it, &name, &value));
}
END_TEST

START_TEST(a_member_is_found_by_name_and_two_of_a_name_are_reported)
{
	struct json_value object = parse("{\"i\":{\"id\":0},\"\\u0069d\":7,\"x\":1,\"\\u0078\":2}");
	struct json_value value = {JSON_NULL, {"untouched", 9}};

	ck_assert_int_eq(json_find(object, "none", &value), JSON_ABSENT);
	ck_assert_int_eq(json_find(object, "x", &value), JSON_DUPLICATE);
	ASSERT_SLICE(value.text, "untouched");
	ck_assert_int_eq(json_find(object, "id", &value), JSON_FOUND);
	ASSERT_SLICE(value.text, "7");
	ck_assert_int_eq(json_find(object, "i", &value), JSON_FOUND);
	ASSERT_SLICE(value.text, "{\"id\":0}");
}
END_TEST

START_TEST(strings_are_compared_by_their_content)
{
	ck_assert(json_string_is(parse("\"a/b\""), "a/b"));
	ck_assert(json_string_is(parse("\"a\\/\\u0062\""), "a/b"));
	ck_assert(json_string_is(parse("\"\""), ""));
	ck_assert(!json_string_is(parse("\"a\""), "ab"));
	ck_assert(!json_string_is(parse("\"ab\""), "a"));
	ck_assert(!json_string_is(parse("\"a\\u0000\""), "a"));
	ck_assert(!json_string_is(parse("\"\\ud800\""), ""));
	ck_assert(!json_string_is(parse("1"), "1"));
}
END_TEST

START_TEST(escapes_are_decoded)
{
	ck_assert(json_decode(parse("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\xC3\xA9\""), &out));
	ASSERT_SLICE(buffer_slice(&out), "a\"\\/\b\f\n\r\t\xC3\xA9");
	ck_assert(json_decode(parse("\"\\u0000\\u00E9\\u20ac\\uD83D\\uDE00!\""), &out));
	ASSERT_SLICE(
	    buffer_slice(&out), "a\"\\/\b\f\n\r\t\xC3\xA9\0\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80!");
	buffer_clear(&out);
	ck_assert(json_decode(parse("\"\""), &out));
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(a_lone_surrogate_and_what_is_no_string_are_not_decoded)
{
	static const char *const lone[] = {"\"a\\ud800\"", "\"\\udc00\\ud800\"",
	    "\"\\ud800\\ud800\"", "\"\\ud83dx\"", "\"\\ud83d\\n12345\"", "\"\\uDFFF\"",
	    "\"\\ud83d\\u0041\"", "1", "[\"a\"]"};

	buffer_append_str(&out, "before");
	for (size_t i = 0; i < sizeof(lone) / sizeof(lone[0]); i++) {
		struct slice content;

		ck_assert_msg(!json_decode(parse(lone[i]), &out), "%s", lone[i]);
		ck_assert(!json_get_string(parse(lone[i]), &out, &content));
		ASSERT_SLICE(buffer_slice(&out), "before");
	}
}
END_TEST

START_TEST(a_string_without_escapes_is_borrowed)
{
	struct json_value value = parse("\"abc\"");
	struct slice content;

	ck_assert(json_get_string(value, &out, &content));
	ck_assert_ptr_eq(content.ptr, value.text.ptr + 1);
	ASSERT_SLICE(content, "abc");
	ck_assert_uint_eq(out.len, 0);
	ck_assert(json_get_string(parse("\"\\u0061bc\""), &out, &content));
	ASSERT_SLICE(content, "abc");
	ck_assert_ptr_eq(content.ptr, out.ptr);
}
END_TEST

START_TEST(integers_are_strict)
{
	static const char *const bad[] = {
	    "1.0", "1e2", "-0", "18446744073709551616", "\"1\"", "null", "-9223372036854775809"};
	uint64_t u = 5;
	int64_t i = 5;
	bool b;

	ck_assert(json_get_u64(parse("18446744073709551615"), &u));
	ck_assert_uint_eq(u, UINT64_MAX);
	ck_assert(json_get_i64(parse("-9223372036854775808"), &i));
	ck_assert(i == INT64_MIN);
	ck_assert(!json_get_u64(parse("-1"), &u));
	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		ck_assert_msg(!json_get_u64(parse(bad[k]), &u), "%s", bad[k]);
		ck_assert_msg(!json_get_i64(parse(bad[k]), &i), "%s", bad[k]);
	}
	ck_assert(u == UINT64_MAX && i == INT64_MIN);
	ck_assert(json_get_bool(parse("true"), &b) && b);
	ck_assert(json_get_bool(parse("false"), &b) && !b);
	ck_assert(!json_get_bool(parse("1"), &b));
}
END_TEST

int
main(void)
{
	return testing_main("json/reader", NULL, teardown,
	    (const TTest *[]){each_type_of_value_is_known,
		a_value_is_the_slice_without_the_blanks_around_it, valid_texts_are_taken,
		invalid_texts_are_refused, every_prefix_of_a_text_is_refused_without_reading_on,
		a_control_byte_or_bad_byte_is_found_at_every_offset_of_a_string, nesting_is_limited,
		a_million_brackets_cost_no_stack, elements_and_members_come_in_their_order,
		a_member_is_found_by_name_and_two_of_a_name_are_reported,
		strings_are_compared_by_their_content, escapes_are_decoded,
		a_lone_surrogate_and_what_is_no_string_are_not_decoded,
		a_string_without_escapes_is_borrowed, integers_are_strict, NULL});
}
