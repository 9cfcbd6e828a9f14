#ifndef SCRIPT_CMSGPACK_UNPACK_H
#define SCRIPT_CMSGPACK_UNPACK_H

/*
 * The functions of cmsgpack that read MessagePack. How deep values may be in each other depends on
 * the room of Lua's stack, 8000 values, so the recursion in C ends as well.
 *
 * cmsgpack.unpack(STRING): all values. cmsgpack.unpack_limit(STRING, LIMIT[, OFFSET]): the offset
 * behind the last value that was read, or -1 at the end of the string, and at most LIMIT values
 * from the offset. cmsgpack.unpack_one(STRING[, OFFSET]): the same for one value.
 */
struct lua_State;

int cmsgpack_unpack(struct lua_State *lua);
int cmsgpack_unpack_one(struct lua_State *lua);
int cmsgpack_unpack_limit(struct lua_State *lua);

#endif
