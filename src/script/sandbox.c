#include "config.h"

#include <lauxlib.h>
#include <lualib.h>
#include <math.h>
#include <time.h>

#include "script/libraries.h"
#include "script/shared_tables.h"
#include "script/state.h"

/*
 * What a script finds in its global table. Left out as in Redis: io, os (but os.clock), debug,
 * package, print, files, environments, and bytecode, which could crash the interpreter.
 */

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

/* ---- The global table ------------------------------------------------------------------------ */

/* __index of the real global table. */
static int
refuse_unknown(lua_State *L)
{
	const char *name = lua_tostring(L, 2);

	return luaL_error(L, "Script attempted to access nonexistent global variable '%s'",
	    name != NULL ? name : "?");
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
	lua_getglobal(L, "table");
	script_replace_table_functions(L);
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
	script_replace_functions(L);
	set_function(L, "__redis__err__handler", script_handle_error);
}

static void
copy_libraries(lua_State *L)
{
	static const char *const names[] = {
	    "bit", "cjson", "cmsgpack", "coroutine", "math", "os", "string", "struct", "table"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		lua_getfield(L, 1, names[i]);
		script_protect(L);
		lua_setfield(L, 2, names[i]);
	}
	script_push_api(L);
	script_protect(L);
	lua_pushvalue(L, -1);
	lua_setfield(L, 2, "redis");
	lua_setfield(L, 2, "server");
}

int
script_fill_state(lua_State *L)
{
	struct script_engine *engine = script_engine_of(L);

	open_library(L, "", luaopen_base);
	open_library(L, LUA_TABLIBNAME, luaopen_table);
	open_library(L, LUA_STRLIBNAME, luaopen_string);
	open_library(L, LUA_MATHLIBNAME, luaopen_math);
	open_library(L, "bit", script_open_bit);
	open_library(L, "cjson", script_open_cjson);
	open_library(L, "cmsgpack", script_open_cmsgpack);
	open_library(L, "struct", script_open_struct);
	change_libraries(L);

	lua_settop(L, 0);
	lua_pushvalue(L, LUA_GLOBALSINDEX);
	lua_newtable(L);
	copy_functions(L);
	copy_libraries(L);
	script_protect_strings(L, 2);
	lua_newtable(L);
	set_function(L, "__index", refuse_unknown);
	lua_setmetatable(L, 2);
	lua_pushvalue(L, 2);
	lua_setfield(L, LUA_REGISTRYINDEX, SCRIPT_GLOBALS);
	script_protect(L);
	lua_pushvalue(L, -1);
	lua_replace(L, LUA_GLOBALSINDEX);
	lua_getfield(L, LUA_REGISTRYINDEX, SCRIPT_GLOBALS);
	lua_insert(L, -2);
	lua_setfield(L, -2, "_G");
	lua_newtable(L);
	lua_setfield(L, LUA_REGISTRYINDEX, SCRIPT_FUNCTIONS);
	lua_pushcfunction(L, script_handle_error);
	engine->error_handler = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}
