#include "config.h"

#include "script/cjson_encode.h"

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "script/cjson_config.h"
#include "script/output.h"

enum { NUMBER_MAX_BYTES = 32 };

struct encoder {
	lua_State *lua;
	const struct cjson_config *config;
	struct output out;
};

/* The letter of a short escape; 0: the byte has none. */
static const char short_escapes[UCHAR_MAX + 1] = {
    ['\b'] = 'b',
    ['\t'] = 't',
    ['\n'] = 'n',
    ['\f'] = 'f',
    ['\r'] = 'r',
    ['"'] = '"',
    ['\\'] = '\\',
    ['/'] = '/',
};

static int
refuse(struct encoder *encoder, int index, const char *why)
{
	return luaL_error(
	    encoder->lua, "Cannot serialise %s: %s", luaL_typename(encoder->lua, index), why);
}

static void
encode_byte(struct output *out, char byte)
{
	char escape[8];
	unsigned char code = (unsigned char)byte;

	if (short_escapes[code] != 0) {
		output_add(out, (char[]){'\\', short_escapes[code]}, 2);
	} else if (code < ' ' || code == 127) {
		snprintf(escape, sizeof(escape), "\\u%04x", code);
		output_add(out, escape, 6);
	} else {
		output_add(out, &byte, 1);
	}
}

static void
encode_string(struct encoder *encoder, int index)
{
	size_t len;
	const char *text = lua_tolstring(encoder->lua, index, &len);

	output_add(&encoder->out, "\"", 1);
	for (size_t i = 0; i < len; i++)
		encode_byte(&encoder->out, text[i]);
	output_add(&encoder->out, "\"", 1);
}

static void
encode_number(struct encoder *encoder, int index)
{
	lua_Number number = lua_tonumber(encoder->lua, index);
	char text[NUMBER_MAX_BYTES];

	if (!isfinite(number) && encoder->config->encode_invalid == CJSON_INVALID_ERROR)
		refuse(encoder, index, "must not be NaN or Inf");
	if (!isfinite(number) && encoder->config->encode_invalid == CJSON_INVALID_NULL)
		output_add(&encoder->out, "null", 4);
	else if (isnan(number)) /* the C library may add a sign */
		output_add(&encoder->out, "nan", 3);
	else
		output_add(&encoder->out, text,
		    (size_t)snprintf(
			text, sizeof(text), "%.*g", encoder->config->encode_precision, number));
}

/* The highest key of the table at the top of the stack, if all keys are positive integers; 0 or
 * less: it is encoded as an object. */
static int64_t
array_length(struct encoder *encoder)
{
	const struct cjson_config *config = encoder->config;
	lua_State *lua = encoder->lua;
	int64_t highest = 0, items = 0;

	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
		lua_Number key = lua_type(lua, -2) == LUA_TNUMBER ? lua_tonumber(lua, -2) : 0;

		if (!(key >= 1 && floor(key) == key)) {
			lua_pop(lua, 2);
			return -1;
		}
		/* Redis keeps it in an int, in which a larger key is the lowest number. */
		if (key > (lua_Number)highest)
			highest = key <= INT_MAX ? (int64_t)key : INT_MIN;
		items++;
	}
	if (config->sparse_ratio > 0 && highest > items * config->sparse_ratio &&
	    highest > config->sparse_safe) {
		if (!config->sparse_convert)
			refuse(encoder, -1, "excessively sparse array");
		return -1;
	}
	return highest;
}

static void encode_value(struct encoder *encoder, int depth);

static void
encode_array(struct encoder *encoder, int depth, int64_t length)
{
	output_add(&encoder->out, "[", 1);
	for (int64_t i = 1; i <= length; i++) {
		if (i > 1)
			output_add(&encoder->out, ",", 1);
		lua_rawgeti(encoder->lua, -1, (int)i);
		encode_value(encoder, depth);
		lua_pop(encoder->lua, 1);
	}
	output_add(&encoder->out, "]", 1);
}

static void
encode_key(struct encoder *encoder, int index)
{
	int type = lua_type(encoder->lua, index);

	if (type == LUA_TSTRING) {
		encode_string(encoder, index);
	} else if (type == LUA_TNUMBER) {
		output_add(&encoder->out, "\"", 1);
		encode_number(encoder, index);
		output_add(&encoder->out, "\"", 1);
	} else {
		refuse(encoder, index, "table key must be a number or string");
	}
	output_add(&encoder->out, ":", 1);
}

static void
encode_object(struct encoder *encoder, int depth)
{
	bool is_first = true;

	output_add(&encoder->out, "{", 1);
	for (lua_pushnil(encoder->lua); lua_next(encoder->lua, -2); lua_pop(encoder->lua, 1)) {
		if (!is_first)
			output_add(&encoder->out, ",", 1);
		is_first = false;
		encode_key(encoder, -2);
		encode_value(encoder, depth);
	}
	output_add(&encoder->out, "}", 1);
}

static void
encode_table(struct encoder *encoder, int depth)
{
	if (depth > encoder->config->encode_max_depth || !lua_checkstack(encoder->lua, 3))
		luaL_error(encoder->lua, "Cannot serialise, excessive nesting (%d)", depth);
	int64_t length = array_length(encoder);

	if (length > 0)
		encode_array(encoder, depth, length);
	else
		encode_object(encoder, depth);
}

/* Encodes the value at the top of the stack, which is in `depth` tables. */
static void
encode_value(struct encoder *encoder, int depth)
{
	switch (lua_type(encoder->lua, -1)) {
	case LUA_TSTRING:
		encode_string(encoder, -1);
		return;
	case LUA_TNUMBER:
		encode_number(encoder, -1);
		return;
	case LUA_TBOOLEAN:
		if (lua_toboolean(encoder->lua, -1))
			output_add(&encoder->out, "true", 4);
		else
			output_add(&encoder->out, "false", 5);
		return;
	case LUA_TTABLE:
		encode_table(encoder, depth + 1);
		return;
	case LUA_TLIGHTUSERDATA:
		if (lua_touserdata(encoder->lua, -1) != NULL)
			refuse(encoder, -1, "type not supported");
		output_add(&encoder->out, "null", 4);
		return;
	case LUA_TNIL:
		output_add(&encoder->out, "null", 4);
		return;
	default:
		refuse(encoder, -1, "type not supported");
	}
}

int
cjson_encode(lua_State *lua, const struct cjson_config *config)
{
	struct encoder encoder = {.lua = lua, .config = config};

	luaL_argcheck(lua, lua_gettop(lua) == 1, 1, "expected 1 argument");
	output_init(&encoder.out, lua);
	encode_value(&encoder, 0);
	output_push(&encoder.out);
	return 1;
}
