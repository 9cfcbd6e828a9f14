#ifndef SCRIPT_LIBRARIES_H
#define SCRIPT_LIBRARIES_H

/*
 * The libraries of Redis's scripts: `bit` works on the bits of numbers, `cjson` reads and writes
 * JSON, `struct` packs numbers and strings as C's structs have them, `cmsgpack` reads and writes
 * MessagePack.
 *
 * Results and error messages are those of Redis 7. All memory is Lua's, so its limit bounds them,
 * and an error, which does not return, leaves nothing behind. They know nothing of the server.
 *
 * Like Lua's luaopen functions, each sets the global of its name to a table of functions, pushes
 * the table and returns 1. It raises Lua's error for lack of memory: call it with lua_cpcall().
 */
struct lua_State;

int script_open_bit(struct lua_State *lua);
int script_open_cjson(struct lua_State *lua);
int script_open_struct(struct lua_State *lua);
int script_open_cmsgpack(struct lua_State *lua);

#endif
