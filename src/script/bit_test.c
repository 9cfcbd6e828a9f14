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
	lua = testing_lua_open(script_open_bit);
}

static void
teardown(void)
{
	testing_lua_close(lua);
}

START_TEST(numbers_are_taken_modulo_two_to_the_32nd)
{
	static const struct testing_lua_case cases[] = {
	    {"bit.tobit(2^31 - 1), bit.tobit(2^31), bit.tobit(2^32 + 5)",
		"2147483647 -2147483648 5"},
	    {"bit.tobit(-1), bit.tobit(-2^31 - 1)", "-1 2147483647"},
	    {"bit.tobit(1.5), bit.tobit(2.5), bit.tobit(-0.6)", "2 2 -1"},
	    {"bit.tobit('0x10')", "16"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(bits_are_combined)
{
	static const struct testing_lua_case cases[] = {
	    {"bit.bnot(0), bit.bnot(0x12345678)", "-1 -305419897"},
	    {"bit.band(0xff, 0x3c, 0x18), bit.band(7)", "24 7"},
	    {"bit.bor(1, 2, 8), bit.bxor(5, 1, 16)", "11 20"},
	    {"bit.bswap(0x12345678)", "2018915346"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(bits_are_shifted_by_a_distance_modulo_32)
{
	static const struct testing_lua_case cases[] = {
	    {"bit.lshift(1, 31), bit.lshift(1, 33), bit.lshift(3, 0)", "-2147483648 2 3"},
	    {"bit.rshift(-1, 28), bit.rshift(-1, 32)", "15 -1"},
	    {"bit.arshift(-256, 4), bit.arshift(256, 4), bit.arshift(-1, 0)", "-16 16 -1"},
	    {"bit.rol(0x12345678, 8), bit.rol(5, 0)", "878082066 5"},
	    {"bit.ror(0x12345678, 8), bit.ror(5, 32)", "2014458966 5"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(hexadecimal_digits_are_at_most_eight)
{
	static const struct testing_lua_case cases[] = {
	    {"bit.tohex(0xabc) == '00000abc', bit.tohex(0xabc, 4) == '0abc'", "true true"},
	    {"bit.tohex(0xabc, -2) == 'BC', bit.tohex(1, 0) == ''", "true true"},
	    {"bit.tohex(-1, 100) == 'ffffffff', bit.tohex(-1, -100) == 'FFFFFFFF'", "true true"},
	    {"bit.tohex(-1, 2^31) == 'FFFFFFFF', bit.tohex(-1, -2^31) == 'FFFFFFFF'", "true true"},
	};

	TEST_ALL(cases);
}
END_TEST

START_TEST(other_values_are_refused)
{
	static const struct testing_lua_case cases[] = {
	    {"bit.tobit()", "error: bad argument #1 to 'tobit' (number expected, got no value)"},
	    {"bit.band(1, {}, 2)", "error: bad argument #2 to 'band' (number expected, got table)"},
	    {"bit.bxor(1, 'x')", "error: bad argument #2 to 'bxor' (number expected, got string)"},
	    {"bit.bor(nil)", "error: bad argument #1 to 'bor' (number expected, got nil)"},
	    {"bit.rol(1)", "error: bad argument #2 to 'rol' (number expected, got no value)"},
	    {"bit.tohex(1, nil)", "error: bad argument #2 to 'tohex' (number expected, got nil)"},
	};

	TEST_ALL(cases);
}
END_TEST

int
main(void)
{
	return testing_main("script/bit", setup, teardown,
	    (const TTest *[]){numbers_are_taken_modulo_two_to_the_32nd, bits_are_combined,
		bits_are_shifted_by_a_distance_modulo_32, hexadecimal_digits_are_at_most_eight,
		other_values_are_refused, NULL});
}
