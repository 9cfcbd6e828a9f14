#ifndef SCRIPT_TESTING_LUA_H
#define SCRIPT_TESTING_LUA_H

#include <lua.h>
#include <stddef.h>

/*
 * A Lua state for tests of libraries: Lua's own libraries for strings, tables and mathematics, and
 * one of ours. It counts the memory of the state, and can refuse it.
 */

/* open is one of script/libraries.h. Ends with testing_lua_close. */
lua_State *testing_lua_open(int (*open)(lua_State *lua));

/* Asserts that no memory is left behind. */
void testing_lua_close(lua_State *lua);

/* What the expressions of Lua give, as text: numbers with all digits, strings in quotes with each
 * byte as two hexadecimal digits, tables with their items in order; or "error: " and the message
 * without the line. Valid until the next call. */
const char *testing_lua_call(lua_State *lua, const char *expressions);

/* A call of Lua and what testing_lua_call gives for it. */
struct testing_lua_case {
	const char *call;
	const char *result;
};

/* Asserts each of the cases. */
void testing_lua_all(lua_State *lua, const struct testing_lua_case *cases, size_t count);

/* Calls it again and again, each time with memory for one allocation more, until it has enough.
 * Asserts that some calls failed, and that the last one gives the result. */
void testing_lua_short_of_memory(lua_State *lua, struct testing_lua_case test);

#endif
