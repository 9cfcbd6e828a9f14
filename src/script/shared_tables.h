#ifndef SCRIPT_SHARED_TABLES_H
#define SCRIPT_SHARED_TABLES_H

#include <stdbool.h>

/*
 * Shared tables: what all scripts share, the global table and the libraries, must not change. Lua
 * 5.1 has no read-only tables, so scripts get an empty table in place of each, whose metatable
 * looks everything up in the real one. The functions of Lua that pass over metatables are replaced
 * by such that know these tables.
 */
struct lua_State;

/* Replaces the table on top of the stack by one that stands for it. */
void script_protect(struct lua_State *L);

/* True for the value at the index of the stack, if it is such a table. */
bool script_is_protected(struct lua_State *L, int index);

/* Makes the library of strings, which is protected, that of the methods of all strings. */
void script_protect_strings(struct lua_State *L, int globals);

/* In the table on top of the stack, which has the functions of Lua, replaces those that pass over
 * metatables, stop the collector, load bytecode, or catch errors otherwise than in Redis. */
void script_replace_functions(struct lua_State *L);

/* The same for table.insert and others in the table on top. */
void script_replace_table_functions(struct lua_State *L);

#endif
