#ifndef SCRIPT_CMSGPACK_PACK_H
#define SCRIPT_CMSGPACK_PACK_H

/*
 * cmsgpack.pack(VALUE...): the arguments, one after the other, as one string of MessagePack.
 *
 * Each number has the shortest kind that keeps its value. A table whose keys are 1 to its count is
 * an array, any other one a map. Functions and all else that MessagePack lacks are nil, and so are
 * tables in more than 15 others: a table may be in itself.
 */
struct lua_State;

int cmsgpack_pack(struct lua_State *lua);

#endif
