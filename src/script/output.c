#include "config.h"

#include "script/output.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <string.h>

enum { START_BYTES = 256, PLACE = 1 };

void
output_init(struct output *out, lua_State *lua)
{
	*out = (struct output){.lua = lua, .size = START_BYTES};
	out->bytes = lua_newuserdata(lua, out->size);
	lua_insert(lua, PLACE);
}

void
output_reserve(struct output *out, size_t len)
{
	if (len <= out->size - out->len)
		return;
	if (len > SIZE_MAX / 2 - out->len)
		luaL_error(out->lua, "not enough memory");
	luaL_checkstack(out->lua, 1, "no room for the output");
	out->size = (out->len + len) * 2;
	char *bytes = lua_newuserdata(out->lua, out->size);

	memcpy(bytes, out->bytes, out->len);
	out->bytes = bytes;
	lua_replace(out->lua, PLACE);
}

void
output_add(struct output *out, const char *bytes, size_t len)
{
	output_reserve(out, len);
	memcpy(out->bytes + out->len, bytes, len);
	out->len += len;
}

void
output_push(struct output *out)
{
	lua_pushlstring(out->lua, out->bytes, out->len);
}
