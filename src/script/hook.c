#include "config.h"

#include "base/clock.h"
#include "base/fiber.h"
#include "script/state.h"
#include "server/server_config.h"

/* The hook of Lua: it suspends a script whose time in this turn is over, and ends one. */

/* Instructions of Lua between two looks at the clock. */
#define HOOK_INSTRUCTIONS 10000

static const char killed[] = "Script killed by user with SCRIPT KILL...";

/* Raises an error with each line from now on, so that no pcall catches the last one. */
static void
end_script(lua_State *L, const char *why)
{
	(void)lua_sethook(L, script_hook, LUA_MASKCOUNT | LUA_MASKLINE, 1);
	script_raise(L, why);
}

/* In a transaction nothing can wait, and nobody could end the script. */
static bool
is_overdue(const struct script_engine *engine, uint64_t now_us)
{
	int64_t limit_ms = engine->server->config->busy_reply_threshold_ms;

	return engine->run.in_transaction && limit_ms > 0 &&
	       now_us - engine->run.begun_us >= (uint64_t)limit_ms * 1000;
}

void
script_hook(lua_State *L, lua_Debug *where)
{
	struct script_engine *engine = script_engine_of(L);
	struct script_run *run = &engine->run;
	uint64_t now_us;

	(void)where;
	if (engine->scripts.state == SCRIPT_IDLE) /* it is being compiled, or the state is made */
		return;
	now_us = clock_mono_us();
	if (!run->in_transaction && !run->is_killed && now_us >= run->until_us)
		fiber_suspend(engine->fiber); /* it may be killed meanwhile */
	if (run->is_killed)
		end_script(L, killed);
	if (is_overdue(engine, now_us))
		end_script(
		    L, "Script in a transaction ran longer than busy-reply-threshold allows.");
}

void
script_set_hook(lua_State *L)
{
	(void)lua_sethook(L, script_hook, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
}
