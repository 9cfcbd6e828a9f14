#include "config.h"

#include <lauxlib.h>
#include <string.h>

#include "script/shared_tables.h"
#include "script/state.h"
#include "server/core.h"
#include "server/statistics.h"

/* Errors of scripts: tables as in Redis, {err = "CODE text", source = file, line = number}. */

void
script_push_error(lua_State *L, struct slice text)
{
	const char *space;

	if (text.len > 0 && text.ptr[0] == '-') {
		text.ptr++;
		text.len--;
	}
	space = text.len > 0 ? memchr(text.ptr, ' ', text.len) : NULL;
	lua_createtable(L, 0, 1);
	if (space == NULL) {
		lua_pushliteral(L, "ERR ");
		lua_pushlstring(L, text.ptr, text.len);
		lua_concat(L, 2);
	} else {
		lua_pushlstring(L, text.ptr, text.len);
	}
	lua_setfield(L, -2, "err");
}

/* As in Redis, so that a script that gives an error back does not count it twice. */
#define COUNTED "ignore_error_stats_update"

void
script_mark_counted(lua_State *L)
{
	lua_pushliteral(L, COUNTED);
	lua_pushboolean(L, true);
	lua_rawset(L, -3);
}

void
script_count_error(lua_State *L, int index, struct slice text)
{
	struct script_engine *engine = script_engine_of(L);
	bool is_counted;

	lua_pushvalue(L, index);
	lua_pushliteral(L, COUNTED);
	lua_rawget(L, -2);
	is_counted = lua_isboolean(L, -1) && lua_toboolean(L, -1);
	lua_pop(L, 2);
	engine->run.has_failed = true;
	if (!is_counted)
		statistics_count_error(engine->server->statistics, text);
}

int
script_raise(lua_State *L, const char *text)
{
	lua_createtable(L, 0, 1);
	lua_pushliteral(L, "ERR ");
	lua_pushstring(L, text);
	lua_concat(L, 2);
	lua_setfield(L, -2, "err");
	return lua_error(L);
}

int
script_handle_error(lua_State *L)
{
	lua_Debug where;

	lua_settop(L, 1);
	if (script_is_protected(L, 1)) {
		lua_pushliteral(L, "Attempt to modify a readonly table");
		lua_replace(L, 1);
	}
	if (!lua_istable(L, 1)) {
		lua_newtable(L);
		lua_pushliteral(L, "ERR ");
		if (lua_type(L, 1) == LUA_TSTRING || lua_type(L, 1) == LUA_TNUMBER)
			lua_pushvalue(L, 1);
		else if (lua_isboolean(L, 1))
			lua_pushstring(L, lua_toboolean(L, 1) ? "true" : "false");
		else
			lua_pushstring(L, luaL_typename(L, 1));
		lua_concat(L, 2);
		lua_setfield(L, 2, "err");
		lua_replace(L, 1);
	}
	/* Level 1 is what failed; a C function has no line. */
	for (int level = 1; level <= 2 && lua_getstack(L, level, &where); level++) {
		lua_getinfo(L, "nSl", &where);
		if (level == 1 && strcmp(where.what, "C") == 0)
			continue;
		lua_pushliteral(L, "source");
		lua_pushstring(L, where.source);
		lua_rawset(L, 1);
		lua_pushliteral(L, "line");
		lua_pushinteger(L, where.currentline);
		lua_rawset(L, 1);
		break;
	}
	return 1;
}
