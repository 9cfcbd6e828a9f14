#include "config.h"

#include <check.h>
#include <stdio.h>

#include "base/testing.h"
#include "script/libraries.h"
#include "script/testing_lua.h"

/* The results are those of redis-server. */
static lua_State *lua;

#define TEST_ALL(cases) testing_lua_all(lua, (cases), sizeof(cases) / sizeof((cases)[0]))

static void
setup(void)
{
	lua = testing_lua_open(script_open_cjson);
}

static void
teardown(void)
{
	testing_lua_close(lua);
}

START_TEST(values_are_encoded)
{
	static const struct testing_lua_case cases[] = {
	    {"cjson.encode(1) == '1', cjson.encode(0.1) == '0.1', cjson.encode(1e300) == '1e+300'",
		"true true true"},
	    {"cjson.encode(true) == 'true', cjson.encode(false) == 'false'", "true true"},
	    {"cjson.encode(nil) == 'null', cjson.encode(cjson.null) == 'null'", "true true"},
	    {"cjson.encode({}) == '{}', cjson.encode({1, {2}}) == '[1,[2]]'", "true true"},
	    {"cjson.encode({a = {b = 1}}) == '{\"a\":{\"b\":1}}'", "true"},
	    {"cjson.encode({[1.5] = 1}) == '{\"1.5\":1}'", "true"},
	    {"cjson.encode({1, nil, 3}) == '[1,null,3]'", "true"},
	    {"#cjson.encode({a = 1, b = 2})", "13"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(bytes_that_json_reserves_are_escaped)
{
	static const struct testing_lua_case cases[] = {
	    {"cjson.encode('a\"b\\\\c/d') == '\"a\\\\\"b\\\\\\\\c\\\\/d\"'", "true"},
	    {"cjson.encode('\\b\\t\\n\\f\\r') == '\"\\\\b\\\\t\\\\n\\\\f\\\\r\"'", "true"},
	    {"cjson.encode('\\0\\31\\127') == '\"\\\\u0000\\\\u001f\\\\u007f\"'", "true"},
	    {"cjson.encode('\\195\\169\\255') == '\"\\195\\169\\255\"'", "true"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(values_that_json_lacks_are_refused)
{
	static const struct testing_lua_case cases[] = {
	    {"cjson.encode(print)", "error: Cannot serialise function: type not supported"},
	    {"cjson.encode(1/0)", "error: Cannot serialise number: must not be NaN or Inf"},
	    {"cjson.encode({[true] = 1})",
		"error: Cannot serialise boolean: table key must be a number or string"},
	    {"cjson.encode({[100] = 1})",
		"error: Cannot serialise table: excessively sparse array"},
	    {"cjson.encode({[2^31] = 1}) == '{\"2147483648\":1}'", "true"},
	    {"cjson.encode()", "error: bad argument #1 to 'encode' (expected 1 argument)"},
	    {"cjson.encode(1, 2)", "error: bad argument #1 to 'encode' (expected 1 argument)"},
	    {"pcall(function() own = {} own[1] = own end), cjson.encode(own)",
		"error: Cannot serialise, excessive nesting (1001)"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(json_is_decoded)
{
	static const struct testing_lua_case cases[] = {
	    {"cjson.decode('[1,-2.5,1e2]')", "{1=1 2=-2.5 3=100}"},
	    {"cjson.decode(' { \"a\" : [ ] , \"b\" : { } } ')", "{'61'={} '62'={}}"},
	    {"cjson.decode('[true,false]'), cjson.decode('null') == cjson.null",
		"{1=true 2=false} true"},
	    {"cjson.decode('\"a\\\\u0041\\\\u00e9\\\\u20ac\\\\ud83d\\\\ude00\"')",
		"'6141c3a9e282acf09f9880'"},
	    {"cjson.decode('\"\\\\\"\\\\\\\\\\\\/\\\\b\\\\f\\\\n\\\\r\\\\t\"')",
		"'225c2f080c0a0d09'"},
	    {"cjson.decode('\"\\\\u0000\"'), cjson.decode('\"a\\1b\"')", "'00' '610162'"},
	    {"cjson.decode('0x10'), cjson.decode('-inf'), cjson.decode('01'), cjson.decode('+1')",
		"16 -inf 1 1"},
	    {"cjson.decode('12\\0]')", "12"},
	    {"cjson.decode(7)", "7"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(text_that_is_wrong_is_refused)
{
	static const struct testing_lua_case cases[] = {
	    {"cjson.decode('')", "error: Expected value but found T_END at character 1"},
	    {"cjson.decode('[1')",
		"error: Expected comma or array end but found T_END at character 3"},
	    {"cjson.decode('[1 2]')",
		"error: Expected comma or array end but found T_NUMBER at character 4"},
	    {"cjson.decode('[,]')", "error: Expected value but found T_COMMA at character 2"},
	    {"cjson.decode('[1,]')", "error: Expected value but found T_ARR_END at character 4"},
	    {"cjson.decode('{\"a\":1,}')",
		"error: Expected object key string but found T_OBJ_END at character 8"},
	    {"cjson.decode('{1:2}')",
		"error: Expected object key string but found T_NUMBER at character 2"},
	    {"cjson.decode('{\"a\" 1}')",
		"error: Expected colon but found T_NUMBER at character 6"},
	    {"cjson.decode('{\"a\":1 null')",
		"error: Expected comma or object end but found T_NULL at character 8"},
	    {"cjson.decode('1 true')",
		"error: Expected the end but found T_BOOLEAN at character 3"},
	    {"cjson.decode('[1]\"\"')",
		"error: Expected the end but found T_STRING at character 4"},
	    {"cjson.decode('[]{')", "error: Expected the end but found T_OBJ_BEGIN at character 3"},
	    {"cjson.decode('[:')", "error: Expected value but found T_COLON at character 2"},
	    {"cjson.decode('[][')", "error: Expected the end but found T_ARR_BEGIN at character 3"},
	    {"cjson.decode('tru')", "error: Expected value but found invalid token at character 1"},
	    {"cjson.decode('x')", "error: Expected value but found invalid token at character 1"},
	    {"cjson.decode('-')", "error: Expected value but found invalid number at character 1"},
	    {"cjson.decode('\"abc')",
		"error: Expected value but found unexpected end of string at character 5"},
	    {"cjson.decode('\"a\\\\n')",
		"error: Expected value but found unexpected end of string at character 5"},
	    {"cjson.decode('\"a\\\\x\"')",
		"error: Expected value but found invalid escape code at character 3"},
	    {"cjson.decode('\"\\\\')",
		"error: Expected value but found invalid escape code at character 2"},
	    {"cjson.decode('\"\\\\ud83d\\\\u0041\"')",
		"error: Expected value but found invalid unicode escape code at character 2"},
	    {"cjson.decode('\"\\\\ud83d\\\\ud83d\"')",
		"error: Expected value but found invalid unicode escape code at character 2"},
	    {"cjson.decode('\"\\\\ude00\"')",
		"error: Expected value but found invalid unicode escape code at character 2"},
	    {"cjson.decode('\"\\\\u12')",
		"error: Expected value but found invalid unicode escape code at character 2"},
	    {"cjson.decode('1\\0')", "error: JSON parser does not support UTF-16 or UTF-32"},
	    {"cjson.decode({})", "error: bad argument #1 to 'decode' (string expected, got table)"},
	    {"cjson.decode('1', 2)", "error: bad argument #1 to 'decode' (expected 1 argument)"},
	    {"cjson.decode(('['):rep(1001))",
		"error: Found too many nested data structures (1001) at character 1001"},
	    {"type(cjson.decode(('['):rep(1000) .. (']'):rep(1000)))", "'7461626c65'"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(settings_change_one_copy_of_the_library)
{
	static const struct testing_lua_case cases[] = {
	    {"pcall(function() copy = cjson.new() end), copy.encode_sparse_array(true, 3, 4)",
		"true true 3 4"},
	    {"cjson.encode_sparse_array()", "false 2 10"},
	    {"copy.encode({[100] = 1}) == '{\"100\":1}'", "true"},
	    {"copy.encode_sparse_array(false, 0), #copy.encode({[100] = 1})", "false 498"},
	    {"copy.encode_number_precision(3), copy.encode(1/3) == '0.333'", "3 true"},
	    {"copy.encode_invalid_numbers('null')", "'6e756c6c'"},
	    {"copy.encode({1/0, -1/0, 0/0}) == '[null,null,null]'", "true"},
	    {"copy.encode_invalid_numbers(true)", "true"},
	    {"copy.encode({1/0, -1/0, 0/0}) == '[inf,-inf,nan]'", "true"},
	    {"copy.decode_invalid_numbers('off')", "false"},
	    {"copy.decode('0x10')",
		"error: Expected value but found invalid number at character 1"},
	    {"copy.decode('nan')", "error: Expected value but found invalid token at character 1"},
	    {"copy.encode_max_depth(1), copy.encode({{}})",
		"error: Cannot serialise, excessive nesting (2)"},
	    {"copy.decode_max_depth(1), copy.decode('[[]]')",
		"error: Found too many nested data structures (2) at character 2"},
	    {"copy.encode_keep_buffer(), copy.encode_keep_buffer(false)", "true false"},
	    {"copy.encode_max_depth(0)", "error: bad argument #1 to 'encode_max_depth' (expected "
					 "integer between 1 and 2147483647)"},
	    {"copy.encode_number_precision(15)",
		"error: bad argument #1 to 'encode_number_precision' (expected integer between 1 "
		"and 14)"},
	    {"copy.encode_max_depth(1, 2)",
		"error: bad argument #2 to 'encode_max_depth' (found too many arguments)"},
	    {"copy.encode_invalid_numbers('x')",
		"error: bad argument #1 to 'encode_invalid_numbers' (invalid option 'x')"},
	    {"cjson.encode_max_depth(), cjson.decode_max_depth()", "1000 1000"},
	    {"cjson._NAME == 'cjson', cjson._VERSION == '2.1.0'", "true true"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(lack_of_memory_leaves_nothing_behind)
{
	testing_lua_short_of_memory(
	    lua, (struct testing_lua_case){
		     "#cjson.encode({a = {('x'):rep(2000)}, b = ('/'):rep(5000)})", "12017"});
	testing_lua_short_of_memory(
	    lua, (struct testing_lua_case){
		     "#cjson.decode('[{\"a\":[1,2,3]},\"\\\\n' .. ('x'):rep(5000) .. '\"]')[2]",
		     "5001"});
}
END_TEST

int
main(void)
{
	return testing_main("script/cjson", setup, teardown,
	    (const TTest *[]){values_are_encoded, bytes_that_json_reserves_are_escaped,
		values_that_json_lacks_are_refused, json_is_decoded, text_that_is_wrong_is_refused,
		settings_change_one_copy_of_the_library, lack_of_memory_leaves_nothing_behind,
		NULL});
}
