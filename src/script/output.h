#ifndef SCRIPT_OUTPUT_H
#define SCRIPT_OUTPUT_H

#include <stddef.h>

/*
 * Output: a string that grows while a library walks a value on Lua's stack, where luaL_Buffer would
 * be in the way.
 *
 * The bytes are those of a userdata at the bottom of the stack, which replaces a full one: Lua
 * counts them, and frees them after an error as well.
 */
struct lua_State;

struct output {
	struct lua_State *lua;
	char *bytes;
	size_t len;
	size_t size;
};

/* Moves all values one place up. Each function may raise Lua's error for lack of memory. */
void output_init(struct output *out, struct lua_State *lua);
void output_add(struct output *out, const char *bytes, size_t len);

/* Room for len bytes at out->bytes + out->len; who writes them adds to out->len. */
void output_reserve(struct output *out, size_t len);

/* Pushes the string. */
void output_push(struct output *out);

#endif
