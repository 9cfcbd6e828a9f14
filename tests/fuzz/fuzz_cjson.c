#include "config.h"

#include <assert.h>
#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#include "script/libraries.h"

/*
 * JSON. If cjson decodes it and can encode the value, which has no infinite number then, the result
 * is decoded and encoded once more: that must give as many bytes. The order of an object may be
 * another one.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Replaces the value on the stack by what the function returns. */
static int
call(lua_State *lua, const char *name)
{
	lua_getglobal(lua, "cjson");
	lua_getfield(lua, -1, name);
	lua_insert(lua, 1);
	lua_pop(lua, 1);
	return lua_pcall(lua, 1, 1, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	lua_State *lua = luaL_newstate();

	script_open_cjson(lua);
	lua_settop(lua, 0);
	lua_pushlstring(lua, (const char *)data, len);
	if (call(lua, "decode") == 0 && call(lua, "encode") == 0) {
		size_t encoded_len = lua_objlen(lua, 1);

		assert(call(lua, "decode") == 0);
		assert(call(lua, "encode") == 0);
		assert(lua_objlen(lua, 1) == encoded_len);
	}
	lua_close(lua);
	return 0;
}
