#include "config.h"

#include <lauxlib.h>
#include <lua.h>

#include "script/cmsgpack_pack.h"
#include "script/cmsgpack_unpack.h"
#include "script/libraries.h"

/* Redis's library tells its version and authors in fields that scripts can read. */
static const struct field {
	const char *name;
	const char *text;
} fields[] = {
    {"_NAME", "cmsgpack"},
    {"_VERSION", "lua-cmsgpack 0.4.0"},
    {"_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo"},
    {"_DESCRIPTION", "MessagePack C implementation for Lua"},
};

int
script_open_cmsgpack(lua_State *lua)
{
	static const luaL_Reg functions[] = {
	    {"pack", cmsgpack_pack},
	    {"unpack", cmsgpack_unpack},
	    {"unpack_one", cmsgpack_unpack_one},
	    {"unpack_limit", cmsgpack_unpack_limit},
	    {NULL, NULL},
	};

	luaL_register(lua, "cmsgpack", functions);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		lua_pushstring(lua, fields[i].text);
		lua_setfield(lua, -2, fields[i].name);
	}
	return 1;
}
