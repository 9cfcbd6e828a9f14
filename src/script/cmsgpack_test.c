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
	lua = testing_lua_open(script_open_cmsgpack);
}

static void
teardown(void)
{
	testing_lua_close(lua);
}

START_TEST(integers_have_the_shortest_kind)
{
	static const struct testing_lua_case cases[] = {
	    {"cmsgpack.pack(0, 127, 128, 255)", "'007fcc80ccff'"},
	    {"cmsgpack.pack(256, 65535, 65536)", "'cd0100cdffffce00010000'"},
	    {"cmsgpack.pack(2^32 - 1, 2^32)", "'ceffffffffcf0000000100000000'"},
	    {"cmsgpack.pack(-1, -32, -33, -128)", "'ffe0d0dfd080'"},
	    {"cmsgpack.pack(-129, -32768, -32769)", "'d1ff7fd18000d2ffff7fff'"},
	    {"cmsgpack.pack(-2^31, -2^31 - 1)", "'d280000000d3ffffffff7fffffff'"},
	    {"cmsgpack.pack(2^63 - 1024, -2^63)", "'cf7ffffffffffffc00d38000000000000000'"},
	    {"cmsgpack.pack(-0)", "'00'"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(other_numbers_are_floats_if_that_keeps_them)
{
	static const struct testing_lua_case cases[] = {
	    {"cmsgpack.pack(0.5, -1.5)", "'ca3f000000cabfc00000'"},
	    {"cmsgpack.pack(0.1)", "'cb3fb999999999999a'"},
	    {"cmsgpack.pack(2^63, 1/0, -1/0)", "'ca5f000000ca7f800000caff800000'"},
	    {"cmsgpack.pack(1e300)", "'cb7e37e43c8800759c'"},
	    {"#cmsgpack.pack(0/0)", "9"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(strings_of_each_length_come_back)
{
	static const struct testing_lua_case cases[] = {
	    {"cmsgpack.pack('', 'abc')", "'a0a3616263'"},
	    {"cmsgpack.pack(('x'):rep(31)):sub(1, 2)", "'bf78'"},
	    {"cmsgpack.pack(('x'):rep(32)):sub(1, 3)", "'d92078'"},
	    {"cmsgpack.pack(('x'):rep(255)):sub(1, 3)", "'d9ff78'"},
	    {"cmsgpack.pack(('x'):rep(256)):sub(1, 4)", "'da010078'"},
	    {"cmsgpack.pack(('x'):rep(65535)):sub(1, 4)", "'daffff78'"},
	    {"cmsgpack.pack(('x'):rep(65536)):sub(1, 6)", "'db0001000078'"},
	    {"#cmsgpack.unpack(cmsgpack.pack(('x'):rep(31)))", "31"},
	    {"#cmsgpack.unpack(cmsgpack.pack(('x'):rep(255)))", "255"},
	    {"#cmsgpack.unpack(cmsgpack.pack(('x'):rep(65535)))", "65535"},
	    {"#cmsgpack.unpack(cmsgpack.pack(('x'):rep(65536)))", "65536"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(what_messagepack_lacks_is_nil)
{
	static const struct testing_lua_case cases[] = {
	    {"cmsgpack.pack(nil, true, false)", "'c0c3c2'"},
	    {"cmsgpack.pack(print, coroutine.create(function() end))", "'c0c0'"},
	    {"cmsgpack.unpack('\\192\\194\\195')", "nil false true"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(tables_are_arrays_or_maps)
{
	static const struct testing_lua_case cases[] = {
	    {"cmsgpack.pack({})", "'90'"},
	    {"cmsgpack.pack({1, 2, 3})", "'93010203'"},
	    {"cmsgpack.pack({1, nil, 3})", "'8201010303'"},
	    {"cmsgpack.pack({[2] = 1})", "'810201'"},
	    {"cmsgpack.pack({[0] = 1})", "'810001'"},
	    {"cmsgpack.pack({[0.5] = 1})", "'81ca3f00000001'"},
	    {"cmsgpack.pack({[1.5] = 1})", "'81ca3fc0000001'"},
	    {"cmsgpack.pack({[2^31] = 1})", "'81ce8000000001'"},
	    {"cmsgpack.pack({a = {b = {}}})", "'81a16181a16290'"},
	    {"cmsgpack.pack({[true] = false})", "'81c3c2'"},
	    {"cmsgpack.pack({unpack({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1})}):sub(1, 2)",
		"'9f01'"},
	    {"cmsgpack.pack({unpack({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1})}):sub(1, 4)",
		"'dc001001'"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(large_tables_come_back)
{
	static const struct testing_lua_case cases[] = {
	    {"pcall(function() many = {} for i = 1, 65536 do many[i] = i end end)", "true"},
	    {"cmsgpack.pack(many):sub(1, 6)", "'dd0001000001'"},
	    {"#cmsgpack.unpack(cmsgpack.pack(many))", "65536"},
	    {"pcall(function() many[65536] = nil end), cmsgpack.pack(many):sub(1, 4)",
		"true 'dcffff01'"},
	    {"pcall(function() many[1] = nil end), #cmsgpack.pack(many)", "true 392447"},
	    {"cmsgpack.pack(many):sub(1, 3)", "'defffe'"},
	    {"pcall(function() many.a = 1 many.b = 1 end), cmsgpack.pack(many):sub(1, 5)",
		"true 'df00010000'"},
	    {"cmsgpack.unpack(cmsgpack.pack(many)).b", "1"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(tables_in_fifteen_others_are_nil)
{
	static const struct testing_lua_case cases[] = {
	    {"cmsgpack.pack({{{{{{{{{{{{{{{{}}}}}}}}}}}}}}}})",
		"'91919191919191919191919191919190'"},
	    {"cmsgpack.pack({{{{{{{{{{{{{{{{{}}}}}}}}}}}}}}}}})", "'919191919191919191919191919191"
								  "91c0'"},
	    {"pcall(function() own = {} own[1] = own end), cmsgpack.pack(own)",
		"true '91919191919191919191919191919191c0'"},
	    {"pcall(function() own = {} own.a = own end), #cmsgpack.pack(own)", "true 49"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(pack_needs_values_but_not_too_many)
{
	static const struct testing_lua_case cases[] = {
	    {"cmsgpack.pack()", "error: bad argument #0 to 'pack' (MessagePack pack needs input.)"},
	    {"#cmsgpack.pack(unpack({}, 1, 4000))", "4000"},
	    {"cmsgpack.pack(unpack({}, 1, 4001))",
		"error: bad argument #0 to 'pack' (Too many arguments for MessagePack pack.)"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(all_kinds_are_unpacked)
{
	static const struct testing_lua_case cases[] = {
	    {"cmsgpack.unpack('\\0\\127\\224\\255')", "0 127 -32 -1"},
	    {"cmsgpack.unpack('\\204\\255\\205\\1\\2\\206\\255\\0\\0\\0')", "255 258 4278190080"},
	    {"cmsgpack.unpack('\\207\\0\\0\\0\\1\\0\\0\\0\\0')", "4294967296"},
	    {"cmsgpack.unpack('\\207' .. ('\\255'):rep(8))", "-1"},
	    {"cmsgpack.unpack('\\208\\128\\209\\255\\254\\210\\255\\255\\255\\253')", "-128 -2 -3"},
	    {"cmsgpack.unpack('\\211\\128\\0\\0\\0\\0\\0\\0\\0')", "-9.2233720368547758e+18"},
	    {"cmsgpack.unpack('\\202\\63\\0\\0\\0\\203\\63\\185\\153\\153\\153\\153\\153\\154')",
		"0.5 0.10000000000000001"},
	    {"cmsgpack.unpack('\\161a\\217\\1b\\218\\0\\1c\\219\\0\\0\\0\\1d')",
		"'61' '62' '63' '64'"},
	    {"cmsgpack.unpack('\\146\\1\\2\\220\\0\\1\\3\\221\\0\\0\\0\\1\\4')",
		"{1=1 2=2} {1=3} {1=4}"},
	    {"cmsgpack.unpack('\\129\\1\\2\\222\\0\\1\\3\\4\\223\\0\\0\\0\\1\\5\\6')",
		"{1=2} {3=4} {5=6}"},
	    {"cmsgpack.unpack('\\147\\1\\192\\3')", "{1=1 3=3}"},
	    {"cmsgpack.unpack('')", ""},
	    {"cmsgpack.unpack(7)", "55"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(some_values_are_unpacked_from_an_offset)
{
	static const struct testing_lua_case cases[] = {
	    {"cmsgpack.unpack_one('\\1\\2\\3')", "1 1"},
	    {"cmsgpack.unpack_one('\\1\\2\\3', 1)", "2 2"},
	    {"cmsgpack.unpack_one('\\1\\2\\3', 2)", "-1 3"},
	    {"cmsgpack.unpack_one('\\1\\2\\3', 3)", "-1"},
	    {"cmsgpack.unpack_one('\\1\\2\\3', 4)",
		"error: Start offset 4 greater than input length 3."},
	    {"cmsgpack.unpack_one('\\1\\2\\3', -1)",
		"error: Invalid request to unpack with offset of -1 and limit of 3."},
	    {"cmsgpack.unpack_one('\\1', {})",
		"error: bad argument #2 to 'unpack_one' (number expected, got table)"},
	    {"cmsgpack.unpack_one()",
		"error: bad argument #1 to 'unpack_one' (string expected, got no value)"},
	    {"cmsgpack.unpack_limit('\\1\\2\\3', 2)", "2 1 2"},
	    {"cmsgpack.unpack_limit('\\1\\2\\3', 2, 1)", "-1 2 3"},
	    {"cmsgpack.unpack_limit('\\1\\2\\3', 9, 2)", "-1 3"},
	    {"cmsgpack.unpack_limit('\\1\\2\\3', 0)", "1 2 3"},
	    {"cmsgpack.unpack_limit('\\1\\2\\3', 0, 1)", "1"},
	    {"cmsgpack.unpack_limit('\\1\\2\\3', 2^32)", "-1 1 2 3"},
	    {"cmsgpack.unpack_limit('\\1\\2\\3', -2)",
		"error: Invalid request to unpack with offset of 0 and limit of 3."},
	    {"cmsgpack.unpack_limit('\\1')",
		"error: bad argument #2 to 'unpack_limit' (number expected, got no value)"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(input_that_is_wrong_is_refused)
{
	static const char *const cut[] = {"\\204", "\\205\\1", "\\206\\1\\1\\1", "\\207\\1",
	    "\\208", "\\209\\1", "\\210\\1", "\\211\\1", "\\202\\1\\1\\1", "\\203\\1", "\\161",
	    "\\217", "\\217\\1", "\\218\\0", "\\218\\0\\1", "\\219\\0\\0\\0",
	    "\\219\\255\\255\\255\\255a", "\\145", "\\220\\0", "\\220\\0\\1",
	    "\\221\\255\\255\\255\\255", "\\129", "\\129\\1", "\\222\\0\\1\\1",
	    "\\223\\255\\255\\255\\255\\1\\1", "\\1\\204"};
	static const char *const unknown[] = {"\\193", "\\196\\1a", "\\197", "\\198", "\\199",
	    "\\200", "\\201", "\\212\\1\\1", "\\213", "\\214", "\\215", "\\216", "\\145\\193",
	    "\\129\\1\\193"};
	char call[100];

	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		snprintf(call, sizeof(call), "cmsgpack.unpack('%s')", cut[i]);
		ck_assert_str_eq(testing_lua_call(lua, call), "error: Missing bytes in input.");
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		snprintf(call, sizeof(call), "cmsgpack.unpack('%s')", unknown[i]);
		ck_assert_str_eq(testing_lua_call(lua, call), "error: Bad data format in input.");
	}
	ck_assert_str_eq(testing_lua_call(lua, "cmsgpack.unpack({})"),
	    "error: bad argument #1 to 'unpack' (string expected, got table)");
	ck_assert_str_eq(
	    testing_lua_call(lua, "cmsgpack.unpack('\\129\\192\\1')"), "error: table index is nil");
	ck_assert_str_eq(testing_lua_call(lua, "cmsgpack.unpack('\\129\\202\\127\\192\\0\\0\\1')"),
	    "error: table index is NaN");
}
END_TEST

START_TEST(values_in_too_many_others_are_an_error)
{
	static const struct testing_lua_case cases[] = {
	    {"type(cmsgpack.unpack(('\\145'):rep(3990) .. '\\1'))", "'7461626c65'"},
	    {"cmsgpack.unpack(('\\145'):rep(100000))",
		"error: stack overflow (in function mp_decode_to_lua_array)"},
	    {"type(cmsgpack.unpack(('\\129'):rep(7990) .. ('\\1'):rep(7991)))", "'7461626c65'"},
	    {"cmsgpack.unpack(('\\129'):rep(100000))",
		"error: stack overflow (too many return values at once; use unpack_one or "
		"unpack_limit "
		"instead.)"},
	    {"cmsgpack.unpack(('\\1'):rep(100000))",
		"error: stack overflow (too many return values at once; use unpack_one or "
		"unpack_limit "
		"instead.)"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(its_fields_say_which_version_it_is)
{
	static const struct testing_lua_case cases[] = {
	    {"cmsgpack._NAME == 'cmsgpack'", "true"},
	    {"cmsgpack._VERSION == 'lua-cmsgpack 0.4.0'", "true"},
	    {"cmsgpack._COPYRIGHT == 'Copyright (C) 2012, Salvatore Sanfilippo'", "true"},
	    {"cmsgpack._DESCRIPTION == 'MessagePack C implementation for Lua'", "true"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(lack_of_memory_leaves_nothing_behind)
{
	testing_lua_short_of_memory(
	    lua, (struct testing_lua_case){
		     "#cmsgpack.pack({a = {('x'):rep(2000)}, b = ('y'):rep(5000)})", "7012"});
	testing_lua_short_of_memory(lua,
	    (struct testing_lua_case){
		"#cmsgpack.unpack(cmsgpack.pack({{}, {a = 1, b = {2}}, ('y'):rep(5000)}))", "3"});
}
END_TEST

int
main(void)
{
	return testing_main("script/cmsgpack", setup, teardown,
	    (const TTest *[]){integers_have_the_shortest_kind,
		other_numbers_are_floats_if_that_keeps_them, strings_of_each_length_come_back,
		what_messagepack_lacks_is_nil, tables_are_arrays_or_maps, large_tables_come_back,
		tables_in_fifteen_others_are_nil, pack_needs_values_but_not_too_many,
		all_kinds_are_unpacked, some_values_are_unpacked_from_an_offset,
		input_that_is_wrong_is_refused, values_in_too_many_others_are_an_error,
		its_fields_say_which_version_it_is, lack_of_memory_leaves_nothing_behind, NULL});
}
