#include "config.h"

#include <assert.h>
#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "script/libraries.h"

/*
 * A format, a NUL, and data that is unpacked with it. What comes out is packed again, which must
 * take as many bytes, except with 'c': 'c0' has a length in the data that is no result.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { RESULTS_MAX = 3000 };

/* Puts the function below the `args` values at the top. */
static int
call(lua_State *lua, const char *name, int args)
{
	lua_getglobal(lua, "struct");
	lua_getfield(lua, -1, name);
	lua_insert(lua, -2 - args);
	lua_pop(lua, 1);
	return lua_pcall(lua, args, LUA_MULTRET, 0);
}

/* On the stack: what unpack has returned. */
static void
pack_again(lua_State *lua, const char *format)
{
	size_t end = (size_t)lua_tonumber(lua, -1);

	lua_pop(lua, 1);
	lua_pushstring(lua, format);
	lua_insert(lua, 1);
	assert(call(lua, "pack", lua_gettop(lua)) == 0);
	assert(lua_objlen(lua, -1) + 1 == end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *format = (const char *)data;
	size_t format_len = strnlen(format, len);

	if (format_len == len)
		return 0;
	lua_State *lua = luaL_newstate();

	script_open_struct(lua);
	lua_settop(lua, 0);
	lua_pushstring(lua, format);
	(void)call(lua, "size", 1);
	lua_settop(lua, 0);
	lua_pushstring(lua, format);
	lua_pushlstring(lua, format + format_len + 1, len - format_len - 1);
	if (call(lua, "unpack", 2) == 0 && lua_gettop(lua) < RESULTS_MAX &&
	    strchr(format, 'c') == NULL)
		pack_again(lua, format);
	lua_close(lua);
	return 0;
}
