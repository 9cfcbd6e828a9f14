#include "config.h"

#include "script/shared_tables.h"

#include <lauxlib.h>
#include <string.h>

#include "script/state.h"

/* The key of the real table in the metatable of a table that stands for it. Its address counts. */
static char real_key;

/* In the registry: what getmetatable gives for strings. */
static char string_metatable_key;

static const char read_only[] = "Attempt to modify a readonly table";

/* ---- Tables that cannot be changed ---------------------------------------------------------- */

/* Pushes the table for which the one at the index stands, or nothing. */
static bool
push_real(lua_State *L, int index)
{
	if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index))
		return false;
	lua_pushlightuserdata(L, &real_key);
	lua_rawget(L, -2);
	lua_remove(L, -2);
	if (lua_istable(L, -1))
		return true;
	lua_pop(L, 1);
	return false;
}

bool
script_is_protected(lua_State *L, int index)
{
	bool is_protected = push_real(L, index);

	if (is_protected)
		lua_pop(L, 1);
	return is_protected;
}

static void
refuse_protected(lua_State *L, int index)
{
	if (!push_real(L, index))
		return;
	lua_pushstring(L, read_only);
	lua_error(L);
}

static int
refuse_change(lua_State *L)
{
	return luaL_error(L, "%s", read_only);
}

void
script_protect(lua_State *L)
{
	lua_newtable(L);
	lua_newtable(L);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, refuse_change);
	lua_setfield(L, -2, "__newindex");
	lua_pushlightuserdata(L, &real_key);
	lua_pushvalue(L, -4);
	lua_rawset(L, -3);
	lua_setmetatable(L, -2);
	lua_remove(L, -2);
}

/* ---- Functions of Lua that are replaced ----------------------------------------------------- */

static int
safe_next(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	if (push_real(L, 1))
		lua_replace(L, 1);
	if (lua_next(L, 1))
		return 2;
	lua_pushnil(L);
	return 1;
}

/* Upvalues: next of Lua, and safe_next. */
static int
safe_pairs(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	if (push_real(L, 1)) {
		lua_pop(L, 1);
		lua_pushvalue(L, lua_upvalueindex(2));
	} else {
		lua_pushvalue(L, lua_upvalueindex(1));
	}
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	return 3;
}

static int
safe_rawget(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checkany(L, 2);
	lua_settop(L, 2);
	if (push_real(L, 1))
		lua_replace(L, 1);
	lua_rawget(L, 1);
	return 1;
}

static int
safe_rawset(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checkany(L, 2);
	luaL_checkany(L, 3);
	lua_settop(L, 3);
	refuse_protected(L, 1);
	lua_rawset(L, 1);
	return 1;
}

static int
safe_getmetatable(lua_State *L)
{
	luaL_checkany(L, 1);
	if (lua_type(L, 1) == LUA_TSTRING) {
		lua_pushlightuserdata(L, &string_metatable_key);
		lua_rawget(L, LUA_REGISTRYINDEX);
		return 1;
	}
	if (push_real(L, 1)) {
		/* Of the global table Redis shows one, of the libraries none. */
		lua_newtable(L);
		if (!lua_rawequal(L, 1, LUA_GLOBALSINDEX))
			lua_pushnil(L);
		else
			script_protect(L);
		return 1;
	}
	if (!lua_getmetatable(L, 1))
		lua_pushnil(L);
	else if (!luaL_getmetafield(L, 1, "__metatable"))
		return 1;
	return 1;
}

/* The functions that follow have the function of Lua as their upvalue. */
static int
call_original(lua_State *L)
{
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

/* setmetatable, table.insert, table.remove, table.sort, table.setn */
static int
safe_change(lua_State *L)
{
	refuse_protected(L, 1);
	return call_original(L);
}

/* The state is shared: its collector is not for scripts to stop. */
static int
safe_collectgarbage(lua_State *L)
{
	static const char *const refused[] = {"stop", "restart", "setpause", "setstepmul"};
	const char *option = luaL_optstring(L, 1, "collect");

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (strcmp(option, refused[i]) == 0) {
			lua_pushinteger(L, 0);
			return 1;
		}
	return call_original(L);
}

#define BYTECODE_MARK LUA_SIGNATURE[0]

static int
safe_loadstring(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);

	if (len == 0 || text[0] != BYTECODE_MARK)
		return call_original(L);
	lua_pushnil(L);
	lua_pushliteral(L, "bytecode is not allowed in scripts");
	return 2;
}

/* The reader given to `load`: upvalues are the one of the script, and whether it has begun. */
static int
text_reader(lua_State *L)
{
	const char *piece;
	size_t len;

	lua_settop(L, 0);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_call(L, 0, 1);
	if (lua_toboolean(L, lua_upvalueindex(2)) || lua_type(L, 1) != LUA_TSTRING)
		return 1;
	piece = lua_tolstring(L, 1, &len);
	if (len == 0)
		return 1;
	if (piece[0] == BYTECODE_MARK)
		return luaL_error(L, "bytecode is not allowed in scripts");
	lua_pushboolean(L, true);
	lua_replace(L, lua_upvalueindex(2));
	return 1;
}

static int
safe_load(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	lua_pushvalue(L, 1);
	lua_pushboolean(L, false);
	lua_pushcclosure(L, text_reader, 2);
	lua_replace(L, 1);
	return call_original(L);
}

/* As in Redis: an error that is a table with the text `err` becomes this text. */
static int
safe_pcall(lua_State *L)
{
	luaL_checkany(L, 1);
	lua_pushboolean(L, lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0) == 0);
	lua_insert(L, 1);
	if (lua_toboolean(L, 1) || !lua_istable(L, 2))
		return lua_gettop(L);
	lua_pushliteral(L, "err");
	lua_rawget(L, 2);
	if (lua_type(L, -1) == LUA_TSTRING)
		lua_replace(L, 2);
	lua_settop(L, 2);
	return 2;
}

/*
 * Lua calls the handler while the function that failed is still on the stack, and, if the hook of
 * Lua has raised the error, without hooks: then nothing could end the handler. Here it is called
 * afterwards; scripts have no function that shows the difference.
 */
static int
safe_xpcall(lua_State *L)
{
	luaL_checkany(L, 2);
	lua_settop(L, 2);
	lua_insert(L, 1); /* the handler below the function */
	if (lua_pcall(L, 0, LUA_MULTRET, 0) == 0) {
		lua_pushboolean(L, true);
		lua_replace(L, 1);
		return lua_gettop(L);
	}
	if (lua_pcall(L, 1, 1, 0) != 0)
		lua_pushliteral(L, "error in error handling");
	lua_pushboolean(L, false);
	lua_insert(L, -2);
	return 2;
}

/* ---- Putting them in place ------------------------------------------------------------------ */

/* Replaces the field of the table on top of the stack by a function with the old one as upvalue. */
static void
wrap(lua_State *L, const char *name, lua_CFunction function)
{
	lua_getfield(L, -1, name);
	lua_pushcclosure(L, function, 1);
	lua_setfield(L, -2, name);
}

static void
set_function(lua_State *L, const char *name, lua_CFunction function)
{
	lua_pushcfunction(L, function);
	lua_setfield(L, -2, name);
}

void
script_replace_functions(lua_State *L)
{
	wrap(L, "collectgarbage", safe_collectgarbage);
	wrap(L, "load", safe_load);
	wrap(L, "loadstring", safe_loadstring);
	wrap(L, "setmetatable", safe_change);
	lua_getfield(L, -1, "next");
	lua_pushcfunction(L, safe_next);
	lua_pushcclosure(L, safe_pairs, 2);
	lua_setfield(L, -2, "pairs");
	set_function(L, "next", safe_next);
	set_function(L, "pcall", safe_pcall);
	set_function(L, "xpcall", safe_xpcall);
	set_function(L, "rawget", safe_rawget);
	set_function(L, "rawset", safe_rawset);
	set_function(L, "getmetatable", safe_getmetatable);
}

void
script_replace_table_functions(lua_State *L)
{
	static const char *const changers[] = {"insert", "remove", "sort", "setn"};

	for (size_t i = 0; i < sizeof(changers) / sizeof(changers[0]); i++)
		wrap(L, changers[i], safe_change);
}

void
script_protect_strings(lua_State *L, int globals)
{
	lua_newtable(L);
	lua_getfield(L, globals, "string");
	lua_setfield(L, -2, "__index");
	lua_pushliteral(L, "");
	lua_pushvalue(L, -2);
	lua_setmetatable(L, -2);
	lua_pop(L, 1);
	lua_pushlightuserdata(L, &string_metatable_key);
	lua_insert(L, -2);
	script_protect(L);
	lua_rawset(L, LUA_REGISTRYINDEX);
}
