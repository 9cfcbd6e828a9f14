#include "config.h"

#include <lauxlib.h>
#include <lualib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/log.h"
#include "script/libraries.h"
#include "script/state.h"
#include "server/server_config.h"

/*
 * The Lua state, and what a script finds in it.
 *
 * What scripts share must not change: the global table and the libraries. Lua 5.1 has no read-only
 * tables, so scripts get an empty table in place of each, whose metatable looks everything up in
 * the real one (`protect`). The functions that pass over metatables are replaced by such that know
 * these tables.
 *
 * Left out as in Redis: io, os (but os.clock), debug, package, print, files, environments, and
 * bytecode, which could crash the interpreter.
 */

int luaopen_cjson(lua_State *L); /* lua-cjson and lua-bitop have no header */
int luaopen_bit(lua_State *L);

/* The key of the real table in the metatable of a table that stands for it. Its address counts. */
static char real_key;

/* In the registry: what getmetatable gives for strings. */
static char string_metatable_key;

static const char read_only[] = "Attempt to modify a readonly table";

struct script_engine *
script_engine_of(lua_State *L)
{
	void *engine;

	(void)lua_getallocf(L, &engine);
	return engine;
}

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

/* Replaces the table on top of the stack by one that stands for it. */
static void
protect(lua_State *L)
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
			protect(L);
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

/* ---- math.random ---------------------------------------------------------------------------- */

/* As in Redis: srand48 and lrand48 of POSIX. */
static double
next_random(struct script_engine *engine)
{
	const uint64_t mask = (UINT64_C(1) << 48) - 1;
	const int32_t max = INT32_MAX;

	engine->random = (engine->random * UINT64_C(0x5deece66d) + 0xb) & mask;
	return (double)((int32_t)(engine->random >> 17) % max) / (double)max;
}

static int
math_random(lua_State *L)
{
	double r = next_random(script_engine_of(L));
	int low = 1, high;

	switch (lua_gettop(L)) {
	case 0:
		lua_pushnumber(L, r);
		return 1;
	case 1:
		high = luaL_checkint(L, 1);
		luaL_argcheck(L, 1 <= high, 1, "interval is empty");
		break;
	case 2:
		low = luaL_checkint(L, 1);
		high = luaL_checkint(L, 2);
		luaL_argcheck(L, low <= high, 2, "interval is empty");
		break;
	default:
		return luaL_error(L, "wrong number of arguments");
	}
	lua_pushnumber(L, floor(r * ((double)high - low + 1)) + low);
	return 1;
}

static int
math_randomseed(lua_State *L)
{
	uint32_t seed = (uint32_t)luaL_checkint(L, 1);

	script_engine_of(L)->random = ((uint64_t)seed << 16) | 0x330e;
	return 0;
}

static int
os_clock(lua_State *L)
{
	lua_pushnumber(L, (lua_Number)clock() / (lua_Number)CLOCKS_PER_SEC);
	return 1;
}

/* ---- Errors --------------------------------------------------------------------------------- */

/*
 * Gives an error the form {err = text, source = file, line = number}. It is called while the
 * function that failed is still on the stack.
 */
static int
handle_error(lua_State *L)
{
	lua_Debug where;

	lua_settop(L, 1);
	if (!lua_istable(L, 1)) {
		lua_newtable(L);
		lua_pushliteral(L, "ERR ");
		if (lua_type(L, 1) == LUA_TSTRING || lua_type(L, 1) == LUA_TNUMBER)
			lua_pushvalue(L, 1);
		else if (lua_isboolean(L, 1))
			lua_pushstring(L, lua_toboolean(L, 1) ? "true" : "false");
		else
			lua_pushstring(L, luaL_typename(L, 1));
		lua_concat(L, 2);
		lua_setfield(L, 2, "err");
		lua_replace(L, 1);
	}
	/* Level 1 is what failed; a C function has no line. */
	for (int level = 1; level <= 2 && lua_getstack(L, level, &where); level++) {
		lua_getinfo(L, "nSl", &where);
		if (level == 1 && strcmp(where.what, "C") == 0)
			continue;
		lua_pushliteral(L, "source");
		lua_pushstring(L, where.source);
		lua_rawset(L, 1);
		lua_pushliteral(L, "line");
		lua_pushinteger(L, where.currentline);
		lua_rawset(L, 1);
		break;
	}
	return 1;
}

/* ---- The global table ------------------------------------------------------------------------ */

/* __index of the real global table. */
static int
refuse_unknown(lua_State *L)
{
	const char *name = lua_tostring(L, 2);

	return luaL_error(L, "Script attempted to access nonexistent global variable '%s'",
	    name != NULL ? name : "?");
}

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

static void
open_library(lua_State *L, const char *name, lua_CFunction open)
{
	lua_pushcfunction(L, open);
	lua_pushstring(L, name);
	lua_call(L, 1, 0);
}

static void
change_libraries(lua_State *L)
{
	static const char *const changers[] = {"insert", "remove", "sort", "setn"};

	lua_getglobal(L, "table");
	for (size_t i = 0; i < sizeof(changers) / sizeof(changers[0]); i++)
		wrap(L, changers[i], safe_change);
	lua_pop(L, 1);
	lua_getglobal(L, "math");
	set_function(L, "random", math_random);
	set_function(L, "randomseed", math_randomseed);
	lua_pop(L, 1);
	lua_newtable(L);
	set_function(L, "clock", os_clock);
	lua_setglobal(L, "os");
}

/* Copies the functions that scripts get from the old global table (1) to the new one (2), which is
 * on top. */
static void
copy_functions(lua_State *L)
{
	static const char *const names[] = {"_VERSION", "assert", "collectgarbage", "error",
	    "gcinfo", "ipairs", "load", "loadstring", "next", "rawequal", "select", "setmetatable",
	    "tonumber", "tostring", "type", "unpack"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		lua_getfield(L, 1, names[i]);
		lua_setfield(L, 2, names[i]);
	}
	wrap(L, "collectgarbage", safe_collectgarbage);
	wrap(L, "load", safe_load);
	wrap(L, "loadstring", safe_loadstring);
	wrap(L, "setmetatable", safe_change);
	lua_getfield(L, 2, "next");
	lua_pushcfunction(L, safe_next);
	lua_pushcclosure(L, safe_pairs, 2);
	lua_setfield(L, 2, "pairs");
	set_function(L, "next", safe_next);
	set_function(L, "pcall", safe_pcall);
	set_function(L, "xpcall", safe_xpcall);
	set_function(L, "rawget", safe_rawget);
	set_function(L, "rawset", safe_rawset);
	set_function(L, "getmetatable", safe_getmetatable);
	set_function(L, "__redis__err__handler", handle_error);
}

static void
copy_libraries(lua_State *L)
{
	static const char *const names[] = {
	    "bit", "cjson", "cmsgpack", "coroutine", "math", "os", "string", "struct", "table"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		lua_getfield(L, 1, names[i]);
		protect(L);
		lua_setfield(L, 2, names[i]);
	}
	script_push_api(L);
	protect(L);
	lua_pushvalue(L, -1);
	lua_setfield(L, 2, "redis");
	lua_setfield(L, 2, "server");
}

/* Methods of strings come from the library that cannot be changed. */
static void
protect_strings(lua_State *L)
{
	lua_newtable(L);
	lua_getfield(L, 2, "string");
	lua_setfield(L, -2, "__index");
	lua_pushliteral(L, "");
	lua_pushvalue(L, -2);
	lua_setmetatable(L, -2);
	lua_pop(L, 1);
	lua_pushlightuserdata(L, &string_metatable_key);
	lua_insert(L, -2);
	protect(L);
	lua_rawset(L, LUA_REGISTRYINDEX);
}

static int
fill_state(lua_State *L)
{
	struct script_engine *engine = script_engine_of(L);

	open_library(L, "", luaopen_base);
	open_library(L, LUA_TABLIBNAME, luaopen_table);
	open_library(L, LUA_STRLIBNAME, luaopen_string);
	open_library(L, LUA_MATHLIBNAME, luaopen_math);
	lua_pushcfunction(L, luaopen_cjson);
	lua_call(L, 0, 1);
	lua_setglobal(L, "cjson");
	open_library(L, "bit", luaopen_bit);
	lua_pushcfunction(L, script_open_struct);
	lua_call(L, 0, 1);
	lua_setglobal(L, "struct");
	lua_pushcfunction(L, script_open_cmsgpack);
	lua_call(L, 0, 1);
	lua_setglobal(L, "cmsgpack");
	change_libraries(L);

	lua_settop(L, 0);
	lua_pushvalue(L, LUA_GLOBALSINDEX);
	lua_newtable(L);
	copy_functions(L);
	copy_libraries(L);
	protect_strings(L);
	lua_newtable(L);
	set_function(L, "__index", refuse_unknown);
	lua_setmetatable(L, 2);
	lua_pushvalue(L, 2);
	lua_setfield(L, LUA_REGISTRYINDEX, "globals");
	protect(L);
	lua_pushvalue(L, -1);
	lua_replace(L, LUA_GLOBALSINDEX);
	lua_getfield(L, LUA_REGISTRYINDEX, "globals");
	lua_insert(L, -2);
	lua_setfield(L, -2, "_G");
	lua_pushcfunction(L, handle_error);
	engine->error_handler = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

static void
put_list(lua_State *L, const struct slice *items, size_t count)
{
	lua_createtable(L, (int)count, 0);
	for (size_t i = 0; i < count; i++) {
		lua_pushlstring(L, items[i].ptr, items[i].len);
		lua_rawseti(L, -2, (int)i + 1);
	}
}

void
script_set_arguments(lua_State *L, const struct script_run *run)
{
	lua_getfield(L, LUA_REGISTRYINDEX, "globals");
	put_list(L, run->argv, run->keys);
	lua_setfield(L, -2, "KEYS");
	put_list(L, run->argv + run->keys, run->argc - run->keys);
	lua_setfield(L, -2, "ARGV");
	lua_pop(L, 1);
}

/* ---- The state --------------------------------------------------------------------------------
 */

static void *
allocate(void *arg, void *ptr, size_t old_len, size_t new_len)
{
	struct script_engine *engine = arg;
	size_t max = engine->server->config->script_maxmemory_bytes;

	if (new_len == 0) {
		engine->lua_bytes -= old_len;
		xfree(ptr);
		return NULL;
	}
	if (new_len > old_len && max > 0 &&
	    new_len - old_len + engine->lua_bytes + engine->bodies_bytes > max) {
		engine->is_exhausted = true;
		return NULL;
	}
	ptr = xrealloc(ptr, new_len);
	engine->lua_bytes = engine->lua_bytes - old_len + new_len;
	return ptr;
}

/* An error outside of a protected call: the engine has a fault. */
static int
panic(lua_State *L)
{
	const char *text = lua_tostring(L, -1);

	log_error("a script's error was not caught: %s", text != NULL ? text : "(no text)");
	abort();
}

bool
script_state_new(struct script_engine *engine)
{
	engine->is_exhausted = false;
	engine->generation++;
	engine->lua = lua_newstate(allocate, engine);
	if (engine->lua == NULL)
		return false;
	lua_atpanic(engine->lua, panic);
	if (lua_cpcall(engine->lua, fill_state, NULL) != 0) {
		script_state_drop(engine);
		return false;
	}
	return true;
}

void
script_state_drop(struct script_engine *engine)
{
	if (engine->lua != NULL)
		lua_close(engine->lua);
	engine->lua = NULL;
}
