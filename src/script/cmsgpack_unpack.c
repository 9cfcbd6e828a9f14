#include "config.h"

#include "script/cmsgpack_unpack.h"

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "script/cmsgpack_head.h"

enum kind {
	KIND_UNKNOWN,
	KIND_NIL,
	KIND_BOOLEAN,
	KIND_FLOAT,
	KIND_DOUBLE,
	KIND_UNSIGNED,
	KIND_SIGNED,
	KIND_STRING,
	KIND_ARRAY,
	KIND_MAP,
};

/* A value without what is in it: the word is its number, the bits of it, or a length or count. */
struct value {
	enum kind kind;
	uint64_t word;
};

/* The kinds with a first byte of their own, and the bytes of the word behind it. */
enum { FIRST_OF_ROWS = HEAD_NIL, END_OF_ROWS = HEAD_NEGATIVE_FIX };

static const struct row {
	enum kind kind;
	uint8_t size;
} rows[END_OF_ROWS - FIRST_OF_ROWS] = {
    [HEAD_NIL - FIRST_OF_ROWS] = {KIND_NIL, 0},
    [HEAD_FALSE - FIRST_OF_ROWS] = {KIND_BOOLEAN, 0},
    [HEAD_TRUE - FIRST_OF_ROWS] = {KIND_BOOLEAN, 0},
    [HEAD_FLOAT - FIRST_OF_ROWS] = {KIND_FLOAT, 4},
    [HEAD_DOUBLE - FIRST_OF_ROWS] = {KIND_DOUBLE, 8},
    [HEAD_UNSIGNED_8 - FIRST_OF_ROWS] = {KIND_UNSIGNED, 1},
    [HEAD_UNSIGNED_16 - FIRST_OF_ROWS] = {KIND_UNSIGNED, 2},
    [HEAD_UNSIGNED_32 - FIRST_OF_ROWS] = {KIND_UNSIGNED, 4},
    [HEAD_UNSIGNED_64 - FIRST_OF_ROWS] = {KIND_UNSIGNED, 8},
    [HEAD_SIGNED_8 - FIRST_OF_ROWS] = {KIND_SIGNED, 1},
    [HEAD_SIGNED_16 - FIRST_OF_ROWS] = {KIND_SIGNED, 2},
    [HEAD_SIGNED_32 - FIRST_OF_ROWS] = {KIND_SIGNED, 4},
    [HEAD_SIGNED_64 - FIRST_OF_ROWS] = {KIND_SIGNED, 8},
    [HEAD_STRING_8 - FIRST_OF_ROWS] = {KIND_STRING, 1},
    [HEAD_STRING_16 - FIRST_OF_ROWS] = {KIND_STRING, 2},
    [HEAD_STRING_32 - FIRST_OF_ROWS] = {KIND_STRING, 4},
    [HEAD_ARRAY_16 - FIRST_OF_ROWS] = {KIND_ARRAY, 2},
    [HEAD_ARRAY_32 - FIRST_OF_ROWS] = {KIND_ARRAY, 4},
    [HEAD_MAP_16 - FIRST_OF_ROWS] = {KIND_MAP, 2},
    [HEAD_MAP_32 - FIRST_OF_ROWS] = {KIND_MAP, 4},
};

struct input {
	const unsigned char *at;
	size_t left;
};

/* Returns len bytes and moves on behind them. */
static const unsigned char *
take(lua_State *lua, struct input *in, size_t len)
{
	const unsigned char *bytes = in->at;

	if (len > in->left)
		luaL_error(lua, "Missing bytes in input.");
	in->at += len;
	in->left -= len;
	return bytes;
}

static uint64_t
read_word(lua_State *lua, struct input *in, size_t size)
{
	const unsigned char *bytes = take(lua, in, size);
	uint64_t word = 0;

	for (size_t i = 0; i < size; i++)
		word = word << 8 | bytes[i];
	return word;
}

/* Of a number of `size` bytes. */
static uint64_t
extend_sign(uint64_t word, size_t size)
{
	uint64_t sign = (uint64_t)1 << (size * 8 - 1);

	return (word ^ sign) - sign;
}

static struct value
read_value(lua_State *lua, struct input *in)
{
	unsigned head = *take(lua, in, 1);

	if (head < HEAD_FIX_MAP)
		return (struct value){KIND_UNSIGNED, head};
	if (head < HEAD_FIX_ARRAY)
		return (struct value){KIND_MAP, head - HEAD_FIX_MAP};
	if (head < HEAD_FIX_STRING)
		return (struct value){KIND_ARRAY, head - HEAD_FIX_ARRAY};
	if (head < FIRST_OF_ROWS)
		return (struct value){KIND_STRING, head - HEAD_FIX_STRING};
	if (head >= END_OF_ROWS)
		return (struct value){KIND_SIGNED, extend_sign(head, 1)};
	struct row row = rows[head - FIRST_OF_ROWS];
	uint64_t word = row.size > 0 ? read_word(lua, in, row.size) : head;

	if (row.kind == KIND_SIGNED)
		word = extend_sign(word, row.size);
	return (struct value){row.kind, word};
}

static void
push_float(lua_State *lua, uint64_t word)
{
	uint32_t bits = (uint32_t)word;
	float number;

	memcpy(&number, &bits, sizeof(number));
	lua_pushnumber(lua, number);
}

static void
push_double(lua_State *lua, uint64_t word)
{
	double number;

	memcpy(&number, &word, sizeof(number));
	lua_pushnumber(lua, number);
}

static void push_value(lua_State *lua, struct input *in);

/* A count may be far above what the input has: the first value that is missing ends the loop. */
static void
push_array(lua_State *lua, struct input *in, uint64_t count)
{
	lua_newtable(lua);
	luaL_checkstack(lua, 1, "in function mp_decode_to_lua_array");
	for (uint64_t i = 1; i <= count; i++) {
		lua_pushnumber(lua, (lua_Number)i);
		push_value(lua, in);
		lua_rawset(lua, -3);
	}
}

static void
push_map(lua_State *lua, struct input *in, uint64_t count)
{
	lua_newtable(lua);
	for (uint64_t i = 0; i < count; i++) {
		push_value(lua, in);
		push_value(lua, in);
		lua_rawset(lua, -3); /* an error if the key is nil or not a number */
	}
}

static void
push_value(lua_State *lua, struct input *in)
{
	struct value value = read_value(lua, in);

	luaL_checkstack(
	    lua, 1, "too many return values at once; use unpack_one or unpack_limit instead.");
	switch (value.kind) {
	case KIND_UNKNOWN:
		luaL_error(lua, "Bad data format in input.");
		break;
	case KIND_NIL:
		lua_pushnil(lua);
		break;
	case KIND_BOOLEAN:
		lua_pushboolean(lua, value.word == HEAD_TRUE);
		break;
	case KIND_FLOAT:
		push_float(lua, value.word);
		break;
	case KIND_DOUBLE:
		push_double(lua, value.word);
		break;
	case KIND_UNSIGNED: /* Redis reads numbers from 2^63 on as negative ones */
	case KIND_SIGNED:
		lua_pushnumber(lua, (lua_Number)(int64_t)value.word);
		break;
	case KIND_STRING:
		lua_pushlstring(lua, (const char *)take(lua, in, value.word), value.word);
		break;
	case KIND_ARRAY:
		push_array(lua, in, value.word);
		break;
	case KIND_MAP:
		push_map(lua, in, value.word);
		break;
	}
}

/* Pushes all values of the input, but at most `limit`. */
static int
push_values(lua_State *lua, struct input *in, lua_Integer limit)
{
	int count = 0;

	while (in->left > 0 && count < limit) {
		push_value(lua, in);
		count++;
	}
	return count;
}

static int
unpack_from(lua_State *lua, lua_Integer limit, lua_Integer offset)
{
	size_t len;
	const char *text = luaL_checklstring(lua, 1, &len);

	/* As limit, Redis tells the length of the input. */
	if (offset < 0 || limit < 0)
		return luaL_error(lua,
		    "Invalid request to unpack with offset of %d and limit of %d.", (int)offset,
		    (int)len);
	if ((size_t)offset > len)
		return luaL_error(
		    lua, "Start offset %d greater than input length %d.", (int)offset, (int)len);
	struct input in = {(const unsigned char *)text + offset, len - (size_t)offset};

	/* Redis reads these two as no limit at all, and returns no offset then. */
	if (limit == 0 && offset == 0)
		return push_values(lua, &in, INT_MAX);
	int count = push_values(lua, &in, limit);

	luaL_checkstack(lua, 1, "in function mp_unpack_full");
	lua_pushinteger(lua, in.left == 0 ? -1 : (lua_Integer)(len - in.left));
	lua_insert(lua, 2); /* before the values */
	return count + 1;
}

int
cmsgpack_unpack(lua_State *lua)
{
	return unpack_from(lua, 0, 0);
}

/* The values go on the stack behind the first argument, if there is one. */
static void
keep_text(lua_State *lua)
{
	if (lua_gettop(lua) > 1)
		lua_settop(lua, 1);
}

int
cmsgpack_unpack_one(lua_State *lua)
{
	lua_Integer offset = luaL_optinteger(lua, 2, 0);

	keep_text(lua);
	return unpack_from(lua, 1, offset);
}

int
cmsgpack_unpack_limit(lua_State *lua)
{
	lua_Integer limit = luaL_checkinteger(lua, 2);
	lua_Integer offset = luaL_optinteger(lua, 3, 0);

	keep_text(lua);
	return unpack_from(lua, limit, offset);
}
