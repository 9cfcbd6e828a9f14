#include "config.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "script/state.h"
#include "server/server_config.h"

/* The Lua state: its memory, and the arguments of the script that runs. */

static void
put_list(lua_State *L, const struct slice *items, size_t count)
{
	lua_createtable(L, (int)count, 0);
	for (size_t i = 0; i < count; i++) {
		lua_pushlstring(L, items[i].ptr, items[i].len);
		lua_rawseti(L, -2, (int)i + 1);
	}
}

void
script_set_arguments(lua_State *L, const struct script_run *run)
{
	lua_getfield(L, LUA_REGISTRYINDEX, SCRIPT_GLOBALS);
	put_list(L, run->argv, run->keys);
	lua_setfield(L, -2, "KEYS");
	put_list(L, run->argv + run->keys, run->argc - run->keys);
	lua_setfield(L, -2, "ARGV");
	lua_pop(L, 1);
}

static void *
allocate(void *arg, void *ptr, size_t old_len, size_t new_len)
{
	struct script_engine *engine = arg;
	size_t max = engine->server->config->script_maxmemory_bytes;

	if (new_len == 0) {
		engine->lua_bytes -= old_len;
		xfree(ptr);
		return NULL;
	}
	if (new_len > old_len && max > 0 && !engine->ignores_limits &&
	    new_len - old_len + engine->lua_bytes + engine->bodies_bytes > max) {
		engine->is_exhausted = true;
		return NULL;
	}
	ptr = xrealloc(ptr, new_len);
	engine->lua_bytes = engine->lua_bytes - old_len + new_len;
	return ptr;
}

/* An error outside of a protected call: the engine has a fault. */
static int
panic(lua_State *L)
{
	const char *text = lua_tostring(L, -1);

	log_error("a script's error was not caught: %s", text != NULL ? text : "(no text)");
	abort();
}

bool
script_state_new(struct script_engine *engine)
{
	engine->is_exhausted = false;
	engine->generation++;
	engine->lua = lua_newstate(allocate, engine);
	if (engine->lua == NULL)
		return false;
	lua_atpanic(engine->lua, panic);
	if (lua_cpcall(engine->lua, script_fill_state, NULL) != 0) {
		script_state_drop(engine);
		return false;
	}
	return true;
}
