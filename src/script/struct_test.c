#include "config.h"

#include <check.h>

#include "base/testing.h"
#include "script/libraries.h"
#include "script/testing_lua.h"

/* The results are those of redis-server. */
static lua_State *lua;

#define TEST_ALL(cases) testing_lua_all(lua, (cases), sizeof(cases) / sizeof((cases)[0]))

static void
setup(void)
{
	lua = testing_lua_open(script_open_struct);
}

static void
teardown(void)
{
	testing_lua_close(lua);
}

START_TEST(integers_of_each_size_are_packed_in_both_orders)
{
	static const struct testing_lua_case cases[] = {
	    {"struct.pack('>bhil', -2, -2, -2, -2)", "'fefffefffffffefffffffffffffffe'"},
	    {"struct.pack('<BHIL', 1, 2, 3, 4)", "'01020003000000"
						 "0400000000000000'"},
	    {"struct.pack('>T', 258)", "'0000000000000102'"},
	    {"struct.pack('<i3>i3', 258, 258)", "'020100000102'"},
	    {"struct.pack('>i16', -1)", "'0000000000000000ffffffffffffffff'"},
	    {"struct.pack('i0', 5)", "''"},
	    {"struct.pack('', 5)", "''"},
	    {"struct.pack(' b b ', 1, 2)", "'0102'"},
	    {"struct.pack('BB', 257, -1)", "'01ff'"},
	    {"struct.pack('xbx', 1)", "'000100'"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(integers_of_each_size_are_unpacked_with_and_without_sign)
{
	static const struct testing_lua_case cases[] = {
	    {"struct.unpack('>bB', '\\255\\255')", "-1 255 3"},
	    {"struct.unpack('>hH', '\\255\\254\\255\\254')", "-2 65534 5"},
	    {"struct.unpack('<iI', ('\\255'):rep(8))", "-1 4294967295 9"},
	    {"struct.unpack('<lLT', ('\\255'):rep(24))",
		"-1 1.8446744073709552e+19 1.8446744073709552e+19 25"},
	    {"struct.unpack('>i3<i3', '\\1\\2\\3\\1\\2\\3')", "66051 197121 7"},
	    {"struct.unpack('>I9', '\\1\\0\\0\\0\\0\\0\\0\\0\\7')", "7 10"},
	    {"struct.unpack('>i9', '\\0\\0\\0\\0\\0\\0\\0\\0\\128')", "-128 10"},
	    {"struct.unpack('>i16', ('\\0'):rep(8) .. ('\\255'):rep(8))", "-1 17"},
	    {"struct.unpack('i0', '')", "0 1"},
	    {"struct.unpack('xxb', 'abc')", "99 4"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(numbers_out_of_range_become_what_they_become_in_redis)
{
	static const struct testing_lua_case cases[] = {
	    {"struct.pack('>l', 0/0)", "'8000000000000000'"},
	    {"struct.pack('>l', 2^63)", "'8000000000000000'"},
	    {"struct.pack('>l', 2^64)", "'0000000000000000'"},
	    {"struct.pack('>l', 1/0)", "'0000000000000000'"},
	    {"struct.pack('>l', -1/0)", "'8000000000000000'"},
	    {"struct.pack('>l', -2^63)", "'8000000000000000'"},
	    {"struct.pack('>l', -2^63 - 2048)", "'8000000000000000'"},
	    {"struct.pack('>l', -1.9)", "'ffffffffffffffff'"},
	    {"struct.pack('>f', 1e300)", "'7f800000'"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(floating_point_numbers_keep_their_bits)
{
	static const struct testing_lua_case cases[] = {
	    {"struct.pack('>f<f', 1.5, 1.5)", "'3fc000000000c03f'"},
	    {"struct.pack('>d<d', -0.1, -0.1)", "'bfb999999999999a9a9999999999b9bf'"},
	    {"struct.unpack('>fd', struct.pack('>fd', 0.1, 0.1))",
		"0.10000000149011612 0.10000000000000001 13"},
	    {"struct.unpack('<df', struct.pack('<df', 1/0, -1/0))", "inf -inf 13"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(strings_have_a_length_or_an_end)
{
	static const struct testing_lua_case cases[] = {
	    {"struct.pack('c', 'abc')", "'61'"},
	    {"struct.pack('c2c0', 'abc', 'abc')", "'6162616263'"},
	    {"struct.pack('sb', 'abc', 1)", "'6162630001'"},
	    {"struct.pack('s', 'a\\0b')", "'61006200'"},
	    {"struct.pack('c3', 123)", "'313233'"},
	    {"struct.unpack('cc2', 'abc')", "'61' '6263' 4"},
	    {"struct.unpack('cc2', 'a')",
		"error: bad argument #2 to 'unpack' (data string too short)"},
	    {"struct.unpack('ss', 'a\\0\\0')", "'61' '' 4"},
	    {"struct.unpack('bc0b', '\\2abc')", "'6162' 99 5"},
	    {"struct.unpack('bc0', '\\0')", "'' 2"},
	    {"struct.unpack('sc0', '2\\0abc')", "'6162' 5"},
	    {"struct.unpack('dc0', struct.pack('d', 1/0))", "'' 9"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(items_are_aligned)
{
	static const struct testing_lua_case cases[] = {
	    {"struct.pack('>!bi', 1, 2)", "'0100000000000002'"},
	    {"struct.pack('>!2bi', 1, 2)", "'010000000002'"},
	    {"struct.pack('>!bcd', 1, 'x', 0)", "'01780000000000000000000000000000'"},
	    {"struct.pack('>!1bi', 1, 2)", "'0100000002'"},
	    {"struct.pack('>!bi3', 1, 2)", "'010000000002'"},
	    {"struct.pack('!1024bx', 1)", "'0100'"},
	    {"struct.unpack('>!bi', '\\1\\0\\0\\0\\0\\0\\0\\2')", "1 2 9"},
	    {"struct.unpack('>!hi', '\\1\\0\\0\\0\\0\\0\\0\\2', 3)", "0 2 9"},
	    {"struct.size('!bi'), struct.size('bi'), struct.size('!4bd!8bd')", "8 5 24"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(sizes_of_formats)
{
	static const struct testing_lua_case cases[] = {
	    {"struct.size('bBhHiIlLTfdxc')", "52"},
	    {"struct.size('i16c100 i0')", "116"},
	    {"struct.size('z5')", "0"},
	    {"struct.size('s')", "error: bad argument #1 to 'size' (option 's' has no fixed size)"},
	    {"struct.size('c0')",
		"error: bad argument #1 to 'size' (option 'c0' has no fixed size)"},
	    {"struct.size('%')", "error: bad argument #1 to 'size' (invalid format option '%')"},
	    {"struct.size(('c2147483647'):rep(3))", "6442450941"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(formats_that_are_wrong_are_refused)
{
	static const struct testing_lua_case cases[] = {
	    {"struct.pack('z')", "error: bad argument #1 to 'pack' (invalid format option 'z')"},
	    {"struct.unpack('bz', 'a')",
		"error: bad argument #1 to 'unpack' (invalid format option 'z')"},
	    {"struct.pack('\\200')",
		"error: bad argument #1 to 'pack' (invalid format option '\xc8')"},
	    {"struct.pack('i32', 0)",
		"'"
		"0000000000000000000000000000000000000000000000000000000000000000"
		"'"},
	    {"struct.pack('i33', 0)", "error: integral size 33 is larger than limit of 32"},
	    {"struct.pack('I2147483647', 0)",
		"error: integral size 2147483647 is larger than limit of 32"},
	    {"struct.pack('c2147483648', '')", "error: integral size overflow"},
	    {"struct.size('c99999999999999999999')", "error: integral size overflow"},
	    {"struct.pack('!0')", "error: alignment 0 is not a power of 2"},
	    {"struct.pack('!12')", "error: alignment 12 is not a power of 2"},
	    {"struct.size('!1073741824')", "0"},
	    {"struct.pack()", "error: bad argument #1 to 'pack' (string expected, got no value)"},
	    {"struct.size({})", "error: bad argument #1 to 'size' (string expected, got table)"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(arguments_that_do_not_fit_are_refused)
{
	static const struct testing_lua_case cases[] = {
	    {"struct.pack('b')", "error: bad argument #2 to 'pack' (number expected, got nil)"},
	    {"struct.pack('bb', 1, {})",
		"error: bad argument #3 to 'pack' (number expected, got table)"},
	    {"struct.pack('f', true)",
		"error: bad argument #2 to 'pack' (number expected, got boolean)"},
	    {"struct.pack('d', 'x')",
		"error: bad argument #2 to 'pack' (number expected, got string)"},
	    {"struct.pack('s')", "error: bad argument #2 to 'pack' (string expected, got nil)"},
	    {"struct.pack('c3', 'ab')", "error: bad argument #3 to 'pack' (string too short)"},
	    {"struct.pack('c2147483647', 'ab')",
		"error: bad argument #3 to 'pack' (string too short)"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(data_that_is_too_short_is_refused)
{
	static const struct testing_lua_case cases[] = {
	    {"struct.unpack('b')",
		"error: bad argument #2 to 'unpack' (string expected, got no value)"},
	    {"struct.unpack('i', 'abc')",
		"error: bad argument #2 to 'unpack' (data string too short)"},
	    {"struct.unpack('d', 'abcdefg')",
		"error: bad argument #2 to 'unpack' (data string too short)"},
	    {"struct.unpack('c2147483647', 'a')",
		"error: bad argument #2 to 'unpack' (data string too short)"},
	    {"struct.unpack('bc0', '\\5ab')",
		"error: bad argument #2 to 'unpack' (data string too short)"},
	    {"struct.unpack('bc0', '\\255ab')",
		"error: bad argument #2 to 'unpack' (data string too short)"},
	    {"struct.unpack('s', 'abc')", "error: unfinished string in data"},
	    {"struct.unpack('c0', 'abc')", "error: format 'c0' needs a previous size"},
	    {"struct.unpack('cc0', 'abc')", "error: format 'c0' needs a previous size"},
	    {"struct.unpack('b', 'a', 0)",
		"error: bad argument #3 to 'unpack' (offset must be 1 or greater)"},
	    {"struct.unpack('b', 'a', -1)",
		"error: bad argument #2 to 'unpack' (data string too short)"},
	    {"struct.unpack('b', 'a', 2)",
		"error: bad argument #2 to 'unpack' (data string too short)"},
	    {"struct.unpack('b', 'a', 1e300)",
		"error: bad argument #2 to 'unpack' (data string too short)"},
	    {"struct.unpack('s', '', 2)",
		"error: bad argument #2 to 'unpack' (data string too short)"},
	    {"struct.unpack('', 'a', 7)", "7"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(more_results_than_lua_can_return_are_an_error)
{
	static const struct testing_lua_case cases[] = {
	    {"select('#', struct.unpack(('b'):rep(7000), ('a'):rep(7000)))", "7001"},
	    {"struct.unpack(('b'):rep(8000), ('a'):rep(8000))",
		"error: stack overflow (too many results)"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(lack_of_memory_leaves_nothing_behind)
{
	testing_lua_short_of_memory(
	    lua, (struct testing_lua_case){
		     "#struct.pack('c20000s', ('x'):rep(20000), ('y'):rep(20000))", "40001"});
	testing_lua_short_of_memory(
	    lua, (struct testing_lua_case){
		     "#struct.unpack('c20000s', ('x'):rep(20000) .. ('y'):rep(20000) .. '\\0')",
		     "20000"});
}
END_TEST

int
main(void)
{
	return testing_main("script/struct", setup, teardown,
	    (const TTest *[]){integers_of_each_size_are_packed_in_both_orders,
		integers_of_each_size_are_unpacked_with_and_without_sign,
		numbers_out_of_range_become_what_they_become_in_redis,
		floating_point_numbers_keep_their_bits, strings_have_a_length_or_an_end,
		items_are_aligned, sizes_of_formats, formats_that_are_wrong_are_refused,
		arguments_that_do_not_fit_are_refused, data_that_is_too_short_is_refused,
		more_results_than_lua_can_return_are_an_error, lack_of_memory_leaves_nothing_behind,
		NULL});
}
