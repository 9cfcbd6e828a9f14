#ifndef SCRIPT_CJSON_ENCODE_H
#define SCRIPT_CJSON_ENCODE_H

/*
 * cjson.encode: the only value on the stack as JSON, which is pushed. Raises an error for values
 * that JSON lacks. How deep the recursion goes depends on the configuration and on the room of
 * Lua's stack, 8000 values.
 */
struct cjson_config;
struct lua_State;

int cjson_encode(struct lua_State *lua, const struct cjson_config *config);

#endif
