#include "config.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash_map.h"
#include "script/state.h"
#include "server/job.h"

/*
 * Lua states and caches of scripts that are thrown away.
 *
 * Freeing a large Lua state takes long, so what scripts have left in it is collected in slices
 * first. At most one is being freed: another one is closed at once, so that the memory of all is at
 * most twice what script-maxmemory allows.
 */

/* Closing a smaller state takes less than a slice. */
#define AT_ONCE_BYTES ((size_t)1 << 20)

/* The collector may be in the middle of a cycle that still marks what was in use. */
#define CYCLES 2

struct script_retired {
	struct script_engine *engine;
	lua_State *lua;
	int cycles;
};

/* ---- States of Lua -------------------------------------------------------------------------- */

/* Its memory no longer counts, and nothing limits it. */
static void *
allocate(void *arg, void *ptr, size_t old_len, size_t new_len)
{
	(void)arg;
	(void)old_len;
	if (new_len > 0)
		return xrealloc(ptr, new_len);
	xfree(ptr);
	return NULL;
}

static enum job_state
step(void *state, struct job_step *step)
{
	struct script_retired *retired = state;

	do {
		retired->cycles += lua_gc(retired->lua, LUA_GCSTEP, 0);
		if (retired->cycles == CYCLES)
			return JOB_DONE;
	} while (clock_mono_us() < step->deadline_us);
	return JOB_MORE;
}

static void
release(void *state)
{
	struct script_retired *retired = state;

	lua_close(retired->lua);
	retired->engine->retired = NULL;
	xfree(retired);
}

static const struct job_kind kind = {"script memory", step, release};

/* What scripts and their arguments are in it is garbage from now on. */
static void
forget_values(lua_State *L)
{
	lua_settop(L, 0);
	lua_pushnil(L);
	lua_setfield(L, LUA_REGISTRYINDEX, SCRIPT_GLOBALS);
	lua_pushnil(L);
	lua_setfield(L, LUA_REGISTRYINDEX, SCRIPT_FUNCTIONS);
	lua_newtable(L);
	lua_replace(L, LUA_GLOBALSINDEX);
}

void
script_state_drop(struct script_engine *engine)
{
	lua_State *L = engine->lua;
	size_t bytes = engine->lua_bytes;

	if (L == NULL)
		return;
	engine->lua = NULL;
	engine->lua_bytes = 0;
	lua_setallocf(L, allocate, NULL);
	(void)lua_sethook(L, NULL, 0, 0);
	if (bytes < AT_ONCE_BYTES || engine->retired != NULL) {
		lua_close(L);
		return;
	}
	forget_values(L);
	engine->retired = xcalloc(1, sizeof(*engine->retired));
	engine->retired->engine = engine;
	engine->retired->lua = L;
	job_start(engine->server, NULL, &kind, engine->retired);
}

/* ---- Caches of scripts ----------------------------------------------------------------------- */

/* Scripts freed between two checks of the clock. */
#define SCRIPTS_A_LOOK 64

static void
free_script(struct slice digest, void *script, void *arg)
{
	(void)digest;
	(void)arg;
	xfree(script);
}

static enum job_state
drain_step(void *map, struct job_step *step)
{
	size_t budget;

	do {
		budget = SCRIPTS_A_LOOK;
		if (hash_map_drain(map, free_script, NULL, &budget))
			return JOB_DONE;
	} while (clock_mono_us() < step->deadline_us);
	return JOB_MORE;
}

static void
drain_release(void *map)
{
	size_t budget = SIZE_MAX;

	(void)!hash_map_drain(map, free_script, NULL, &budget);
	hash_map_free(map);
}

static const struct job_kind drain_kind = {"scripts", drain_step, drain_release};

/* The cache is empty afterwards; its scripts are in the map that is returned, owned. */
static struct hash_map *
take_scripts(struct script_engine *engine)
{
	struct hash_map *map = engine->by_digest;

	engine->by_digest = hash_map_new();
	TAILQ_INIT(&engine->evals);
	engine->evals_count = 0;
	engine->bodies_bytes = 0;
	return map;
}

void
script_cache_drop(struct script_engine *engine)
{
	struct hash_map *map = take_scripts(engine);

	if (hash_map_count(map) <= SCRIPTS_A_LOOK)
		drain_release(map);
	else
		job_start(engine->server, NULL, &drain_kind, map);
}

void
script_cache_free(struct script_engine *engine)
{
	drain_release(take_scripts(engine));
	hash_map_free(engine->by_digest);
}
