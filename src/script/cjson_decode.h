#ifndef SCRIPT_CJSON_DECODE_H
#define SCRIPT_CJSON_DECODE_H

/*
 * cjson.decode: pushes the value of the JSON that is the only value on the stack; null is a light
 * userdata that is NULL. Raises an error for other text. How deep the recursion goes depends on the
 * configuration and on the room of Lua's stack, 8000 values.
 */
struct cjson_config;
struct lua_State;

int cjson_decode(struct lua_State *lua, const struct cjson_config *config);

#endif
