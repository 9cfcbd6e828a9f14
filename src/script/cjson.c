#include "config.h"

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <stdio.h>

#include "script/cjson_config.h"
#include "script/cjson_decode.h"
#include "script/cjson_encode.h"
#include "script/libraries.h"

static const struct cjson_config default_config = {
    .encode_invalid = CJSON_INVALID_ERROR,
    .encode_max_depth = 1000,
    .encode_precision = CJSON_PRECISION_MAX,
    .encode_keep_buffer = 1,
    .sparse_ratio = 2,
    .sparse_safe = 10,
    .decode_invalid = 1,
    .decode_max_depth = 1000,
};

/* Of the copy of the library that the function belongs to. */
static struct cjson_config *
config_of(lua_State *lua)
{
	return lua_touserdata(lua, lua_upvalueindex(1));
}

/* The configuration, for a function with `count` optional arguments. */
static struct cjson_config *
config_for(lua_State *lua, int count)
{
	luaL_argcheck(lua, lua_gettop(lua) <= count, count + 1, "found too many arguments");
	lua_settop(lua, count);
	return config_of(lua);
}

/* Sets it to the argument, if there is one, and pushes what it is then. */
static void
set_integer(lua_State *lua, int arg, int *setting, int least, int most)
{
	char error[64];

	if (!lua_isnil(lua, arg)) {
		lua_Integer value = luaL_checkinteger(lua, arg);

		snprintf(error, sizeof(error), "expected integer between %d and %d", least, most);
		luaL_argcheck(lua, value >= least && value <= most, 1, error);
		*setting = (int)value;
	}
	lua_pushinteger(lua, *setting);
}

/* As set_integer, for a place in a list of words. The first two are false and true as well. */
static void
set_word(lua_State *lua, int arg, int *setting, const char *const *words)
{
	if (lua_isboolean(lua, arg))
		*setting = lua_toboolean(lua, arg);
	else if (!lua_isnil(lua, arg))
		*setting = luaL_checkoption(lua, arg, NULL, words);
	if (*setting <= 1)
		lua_pushboolean(lua, *setting);
	else
		lua_pushstring(lua, words[*setting]);
}

static void
set_switch(lua_State *lua, int arg, int *setting)
{
	static const char *const words[] = {"off", "on", NULL};

	set_word(lua, arg, setting, words);
}

static int
encode(lua_State *lua)
{
	return cjson_encode(lua, config_of(lua));
}

static int
decode(lua_State *lua)
{
	return cjson_decode(lua, config_of(lua));
}

static int
encode_sparse_array(lua_State *lua)
{
	struct cjson_config *config = config_for(lua, 3);

	set_switch(lua, 1, &config->sparse_convert);
	set_integer(lua, 2, &config->sparse_ratio, 0, INT_MAX);
	set_integer(lua, 3, &config->sparse_safe, 0, INT_MAX);
	return 3;
}

static int
encode_max_depth(lua_State *lua)
{
	set_integer(lua, 1, &config_for(lua, 1)->encode_max_depth, 1, INT_MAX);
	return 1;
}

static int
decode_max_depth(lua_State *lua)
{
	set_integer(lua, 1, &config_for(lua, 1)->decode_max_depth, 1, INT_MAX);
	return 1;
}

static int
encode_number_precision(lua_State *lua)
{
	set_integer(lua, 1, &config_for(lua, 1)->encode_precision, 1, CJSON_PRECISION_MAX);
	return 1;
}

static int
encode_keep_buffer(lua_State *lua)
{
	set_switch(lua, 1, &config_for(lua, 1)->encode_keep_buffer);
	return 1;
}

static int
encode_invalid_numbers(lua_State *lua)
{
	static const char *const words[] = {
	    [CJSON_INVALID_ERROR] = "off",
	    [CJSON_INVALID_KEEP] = "on",
	    [CJSON_INVALID_NULL] = "null",
	    NULL,
	};

	set_word(lua, 1, &config_for(lua, 1)->encode_invalid, words);
	return 1;
}

static int
decode_invalid_numbers(lua_State *lua)
{
	set_switch(lua, 1, &config_for(lua, 1)->decode_invalid);
	return 1;
}

static int push_copy(lua_State *lua);

static const luaL_Reg functions[] = {
    {"encode", encode},
    {"decode", decode},
    {"encode_sparse_array", encode_sparse_array},
    {"encode_max_depth", encode_max_depth},
    {"decode_max_depth", decode_max_depth},
    {"encode_number_precision", encode_number_precision},
    {"encode_keep_buffer", encode_keep_buffer},
    {"encode_invalid_numbers", encode_invalid_numbers},
    {"decode_invalid_numbers", decode_invalid_numbers},
    {"new", push_copy},
};

/* Pushes a table with the functions, which share a configuration. */
static int
push_copy(lua_State *lua)
{
	lua_newtable(lua);
	struct cjson_config *config = lua_newuserdata(lua, sizeof(*config));

	*config = default_config;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		lua_pushvalue(lua, -1);
		lua_pushcclosure(lua, functions[i].func, 1);
		lua_setfield(lua, -3, functions[i].name);
	}
	lua_pop(lua, 1);
	lua_pushlightuserdata(lua, NULL);
	lua_setfield(lua, -2, "null");
	lua_pushliteral(lua, "cjson");
	lua_setfield(lua, -2, "_NAME");
	lua_pushliteral(lua, "2.1.0");
	lua_setfield(lua, -2, "_VERSION");
	return 1;
}

int
script_open_cjson(lua_State *lua)
{
	push_copy(lua);
	lua_pushvalue(lua, -1);
	lua_setglobal(lua, "cjson");
	return 1;
}
