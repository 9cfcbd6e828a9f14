#include "config.h"

#include <assert.h>
#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#include "script/libraries.h"

/*
 * MessagePack. If it is valid, its values are packed, and unpacked and packed once more: that must
 * give as many bytes as the first time. The order of a map may be another one.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { RESULTS_MAX = 3000, HEADS_MAX = 15 };

/* Calls the function with all that is on the stack. */
static int
call(lua_State *lua, const char *name)
{
	int args = lua_gettop(lua);

	lua_getglobal(lua, "cmsgpack");
	lua_getfield(lua, -1, name);
	lua_insert(lua, 1);
	lua_pop(lua, 1);
	return lua_pcall(lua, args, LUA_MULTRET, 0);
}

/* True if no value can be in so many others that it is packed as nil. */
static int
is_flat(const uint8_t *data, size_t len)
{
	size_t heads = 0;

	for (size_t i = 0; i < len; i++)
		heads += (data[i] >= 0x80 && data[i] < 0xa0) || (data[i] >= 0xdc && data[i] < 0xe0);
	return heads <= HEADS_MAX;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	lua_State *lua = luaL_newstate();

	script_open_cmsgpack(lua);
	lua_settop(lua, 0);
	lua_pushlstring(lua, (const char *)data, len);
	if (call(lua, "unpack") != 0 || lua_gettop(lua) == 0 || lua_gettop(lua) > RESULTS_MAX) {
		lua_close(lua);
		return 0;
	}
	assert(call(lua, "pack") == 0);
	size_t packed_len = lua_objlen(lua, 1);

	if (is_flat(data, len)) {
		assert(call(lua, "unpack") == 0);
		assert(call(lua, "pack") == 0);
		assert(lua_objlen(lua, 1) == packed_len);
	}
	lua_close(lua);
	return 0;
}
