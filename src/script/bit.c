#include "config.h"

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <stdint.h>
#include <string.h>

#include "script/libraries.h"

enum { HEX_DIGITS = 8 };

/* The number modulo 2^32, rounded as the processor rounds: after the addition, the lowest bits of
 * the double are those of the integer. */
static uint32_t
bits_of(lua_State *lua, int arg)
{
	double shifted = luaL_checknumber(lua, arg) + 6755399441055744.0; /* 2^52 + 2^51 */
	uint64_t bits;

	memcpy(&bits, &shifted, sizeof(bits));
	return (uint32_t)bits;
}

static int
push_bits(lua_State *lua, uint32_t bits)
{
	lua_pushnumber(lua, (int32_t)bits);
	return 1;
}

static int
bit_tobit(lua_State *lua)
{
	return push_bits(lua, bits_of(lua, 1));
}

static int
bit_bnot(lua_State *lua)
{
	return push_bits(lua, ~bits_of(lua, 1));
}

static int
bit_band(lua_State *lua)
{
	uint32_t bits = bits_of(lua, 1);

	for (int arg = lua_gettop(lua); arg > 1; arg--)
		bits &= bits_of(lua, arg);
	return push_bits(lua, bits);
}

static int
bit_bor(lua_State *lua)
{
	uint32_t bits = bits_of(lua, 1);

	for (int arg = lua_gettop(lua); arg > 1; arg--)
		bits |= bits_of(lua, arg);
	return push_bits(lua, bits);
}

static int
bit_bxor(lua_State *lua)
{
	uint32_t bits = bits_of(lua, 1);

	for (int arg = lua_gettop(lua); arg > 1; arg--)
		bits ^= bits_of(lua, arg);
	return push_bits(lua, bits);
}

static unsigned
distance_of(lua_State *lua)
{
	return bits_of(lua, 2) % 32;
}

static uint32_t
rotate_left(uint32_t bits, unsigned distance)
{
	return bits << distance | bits >> (32 - distance) % 32;
}

static int
bit_lshift(lua_State *lua)
{
	uint32_t bits = bits_of(lua, 1);

	return push_bits(lua, bits << distance_of(lua));
}

static int
bit_rshift(lua_State *lua)
{
	uint32_t bits = bits_of(lua, 1);

	return push_bits(lua, bits >> distance_of(lua));
}

/* The bits from the left are copies of the sign. */
static int
bit_arshift(lua_State *lua)
{
	uint32_t bits = bits_of(lua, 1);
	unsigned distance = distance_of(lua);
	uint32_t signs = bits > INT32_MAX ? ~(UINT32_MAX >> distance) : 0;

	return push_bits(lua, bits >> distance | signs);
}

static int
bit_rol(lua_State *lua)
{
	uint32_t bits = bits_of(lua, 1);

	return push_bits(lua, rotate_left(bits, distance_of(lua)));
}

static int
bit_ror(lua_State *lua)
{
	uint32_t bits = bits_of(lua, 1);

	return push_bits(lua, rotate_left(bits, (32 - distance_of(lua)) % 32));
}

static int
bit_bswap(lua_State *lua)
{
	uint32_t bits = bits_of(lua, 1);

	return push_bits(
	    lua, bits << 24 | (bits & 0xff00) << 8 | (bits >> 8 & 0xff00) | bits >> 24);
}

/* A negative count of digits asks for upper case. */
static int
bit_tohex(lua_State *lua)
{
	uint32_t bits = bits_of(lua, 1);
	int64_t wanted = lua_isnone(lua, 2) ? HEX_DIGITS : (int32_t)bits_of(lua, 2);
	const char *digits = wanted < 0 ? "0123456789ABCDEF" : "0123456789abcdef";
	int64_t magnitude = wanted < 0 ? -wanted : wanted;
	size_t count = magnitude < HEX_DIGITS ? (size_t)magnitude : HEX_DIGITS;
	char text[HEX_DIGITS];

	for (size_t i = 0; i < count; i++)
		text[count - 1 - i] = digits[bits >> i * 4 & 15];
	lua_pushlstring(lua, text, count);
	return 1;
}

int
script_open_bit(lua_State *lua)
{
	static const luaL_Reg functions[] = {
	    {"tobit", bit_tobit},
	    {"bnot", bit_bnot},
	    {"band", bit_band},
	    {"bor", bit_bor},
	    {"bxor", bit_bxor},
	    {"lshift", bit_lshift},
	    {"rshift", bit_rshift},
	    {"arshift", bit_arshift},
	    {"rol", bit_rol},
	    {"ror", bit_ror},
	    {"bswap", bit_bswap},
	    {"tohex", bit_tohex},
	    {NULL, NULL},
	};

	luaL_register(lua, "bit", functions);
	return 1;
}
