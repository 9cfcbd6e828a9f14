#include "config.h"

#include "script/cmsgpack_pack.h"

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "script/cmsgpack_head.h"
#include "script/output.h"

enum { NESTING_MAX = 16 };

/* A first byte, and the lowest `size` bytes of the word behind it. */
static void
add_head(struct output *out, unsigned head, uint64_t word, size_t size)
{
	char bytes[1 + sizeof(word)] = {(char)head};

	for (size_t i = 0; i < size; i++)
		bytes[1 + i] = (char)(word >> (size - 1 - i) * 8);
	output_add(out, bytes, 1 + size);
}

static void
pack_integer(struct output *out, int64_t number)
{
	uint64_t word = (uint64_t)number;

	if (number >= -32 && number <= INT8_MAX)
		add_head(out, (unsigned char)number, 0, 0);
	else if (number >= 0 && number <= UINT8_MAX)
		add_head(out, HEAD_UNSIGNED_8, word, 1);
	else if (number >= 0 && number <= UINT16_MAX)
		add_head(out, HEAD_UNSIGNED_16, word, 2);
	else if (number >= 0 && number <= UINT32_MAX)
		add_head(out, HEAD_UNSIGNED_32, word, 4);
	else if (number >= 0)
		add_head(out, HEAD_UNSIGNED_64, word, 8);
	else if (number >= INT8_MIN)
		add_head(out, HEAD_SIGNED_8, word, 1);
	else if (number >= INT16_MIN)
		add_head(out, HEAD_SIGNED_16, word, 2);
	else if (number >= INT32_MIN)
		add_head(out, HEAD_SIGNED_32, word, 4);
	else
		add_head(out, HEAD_SIGNED_64, word, 8);
}

static void
pack_double(struct output *out, double number)
{
	float shorter = (float)number;
	uint32_t shorter_bits;
	uint64_t bits;

	memcpy(&shorter_bits, &shorter, sizeof(shorter_bits));
	memcpy(&bits, &number, sizeof(bits));
	if ((double)shorter == number)
		add_head(out, HEAD_FLOAT, shorter_bits, sizeof(shorter_bits));
	else
		add_head(out, HEAD_DOUBLE, bits, sizeof(bits));
}

static void
pack_number(struct output *out, lua_Number number)
{
	const lua_Number limit = 9223372036854775808.0; /* 2^63 */

	if (number >= -limit && number < limit && number == floor(number))
		pack_integer(out, (int64_t)number);
	else
		pack_double(out, number);
}

static void
pack_string(struct output *out, const char *text, size_t len)
{
	if (len < 32)
		add_head(out, HEAD_FIX_STRING | (unsigned)len, 0, 0);
	else if (len <= UINT8_MAX)
		add_head(out, HEAD_STRING_8, len, 1);
	else if (len <= UINT16_MAX)
		add_head(out, HEAD_STRING_16, len, 2);
	else if (len <= UINT32_MAX)
		add_head(out, HEAD_STRING_32, len, 4);
	else
		luaL_error(out->lua, "string too long for MessagePack");
	output_add(out, text, len);
}

/* What an array or a map begins with: `fix` holds counts to 15, `head` is the one with 16 bits, and
 * that with 32 follows it. A table of Lua has fewer items than 2^32. */
static void
pack_count(struct output *out, unsigned fix, unsigned head, size_t count)
{
	if (count <= 15)
		add_head(out, fix | (unsigned)count, 0, 0);
	else if (count <= UINT16_MAX)
		add_head(out, head, count, 2);
	else
		add_head(out, head + 1, count, 4);
}

/* Counts the items of the table at the top of the stack; true if the keys are 1 to the count. */
static bool
is_array(lua_State *lua, size_t *count)
{
	lua_Number highest = 0;
	bool is_array = true;

	*count = 0;
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
		lua_Number key = lua_type(lua, -2) == LUA_TNUMBER ? lua_tonumber(lua, -2) : 0;

		if (!(key >= 1 && key <= INT_MAX && key == floor(key)))
			is_array = false;
		if (key > highest)
			highest = key;
		++*count;
	}
	return is_array && highest == (lua_Number)*count;
}

static void pack_value(struct output *out, int level);

static void
pack_array(struct output *out, size_t count, int level)
{
	pack_count(out, HEAD_FIX_ARRAY, HEAD_ARRAY_16, count);
	for (size_t i = 1; i <= count; i++) {
		lua_rawgeti(out->lua, -1, (int)i);
		pack_value(out, level);
	}
}

static void
pack_map(struct output *out, size_t count, int level)
{
	pack_count(out, HEAD_FIX_MAP, HEAD_MAP_16, count);
	for (lua_pushnil(out->lua); lua_next(out->lua, -2);) {
		lua_pushvalue(out->lua, -2);
		pack_value(out, level); /* the copy of the key; the key itself stays */
		pack_value(out, level);
	}
}

static void
pack_table(struct output *out, int level)
{
	size_t count;

	luaL_checkstack(out->lua, 4, "in cmsgpack.pack");
	if (is_array(out->lua, &count))
		pack_array(out, count, level);
	else
		pack_map(out, count, level);
}

/* Packs the value at the top of the stack, which is in `level` tables, and pops it. */
static void
pack_value(struct output *out, int level)
{
	size_t len;
	const char *text;

	switch (lua_type(out->lua, -1)) {
	case LUA_TBOOLEAN:
		add_head(out, lua_toboolean(out->lua, -1) ? HEAD_TRUE : HEAD_FALSE, 0, 0);
		break;
	case LUA_TNUMBER:
		pack_number(out, lua_tonumber(out->lua, -1));
		break;
	case LUA_TSTRING:
		text = lua_tolstring(out->lua, -1, &len);
		pack_string(out, text, len);
		break;
	case LUA_TTABLE:
		if (level < NESTING_MAX) {
			pack_table(out, level + 1);
			break;
		}
		/* fall through */
	default:
		add_head(out, HEAD_NIL, 0, 0);
		break;
	}
	lua_pop(out->lua, 1);
}

int
cmsgpack_pack(lua_State *lua)
{
	int count = lua_gettop(lua);
	struct output out;

	if (count == 0)
		return luaL_argerror(lua, 0, "MessagePack pack needs input.");
	if (!lua_checkstack(lua, count))
		return luaL_argerror(lua, 0, "Too many arguments for MessagePack pack.");
	output_init(&out, lua);
	for (int i = 1; i <= count; i++) {
		lua_pushvalue(lua, 1 + i);
		pack_value(&out, 0);
	}
	output_push(&out);
	return 1;
}
