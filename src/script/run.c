#include "config.h"

#include <assert.h>
#include <lauxlib.h>

#include "acl/user.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "pubsub/hub.h"
#include "resp/writer.h"
#include "script/run.h"
#include "script/states.h"
#include "server/blocked.h"
#include "server/call_record.h"
#include "server/client.h"
#include "server/client_life.h"
#include "server/held.h"
#include "server/io.h"
#include "server/job.h"
#include "server/pause.h"
#include "server/propagation.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "server/wait.h"

/*
 * The execution of a script. It runs on a stack of its own (base/fiber.h), which the hook of Lua
 * leaves when the time of a turn is over. Then the server is paused, and a job goes on with the
 * script in each turn.
 */

/* The job of a suspended script. */
struct script_job {
	struct script_engine *engine;
	struct buffer reply; /* when the script is over */
};

/* How long it may run before it is first suspended. */
#define FIRST_SLICE_US 8000

/* The memory of its stack is used when it is needed; this is what a main stack has. */
#define STACK_BYTES ((size_t)8 << 20)

/* How long a script that has written may go on when the daemon ends or is upgraded. */
#define SETTLE_US 1000000

static const struct slice out_of_memory = {SCRIPT_MEMORY_ERROR, sizeof(SCRIPT_MEMORY_ERROR) - 1};

/* ---- On the stack of the script ------------------------------------------------------------- */

/* A text or a number of the error on top of the stack. */
static struct slice
field(lua_State *L, const char *name)
{
	struct slice s = {NULL, 0};

	lua_pushstring(L, name);
	lua_rawget(L, -2);
	if (lua_isstring(L, -1))
		s.ptr = lua_tolstring(L, -1, &s.len);
	lua_insert(L, -2); /* it stays on the stack, below the error */
	return s;
}

/* Makes this error the reply. */
static void
put_reply(struct script_engine *engine, struct slice text)
{
	buffer_clear(&engine->result);
	resp_put_error(&engine->result, text);
}

static void
put_error(struct script_engine *engine, lua_State *L)
{
	struct buffer text = {0};
	struct slice why = {0}, source = {0}, line = {0};
	bool is_table = lua_istable(L, -1);

	if (is_table) {
		why = field(L, "err");
		source = field(L, "source");
		line = field(L, "line");
	}
	if (why.ptr == NULL)
		why = engine->is_exhausted ? out_of_memory : SLICE("ERR unknown error");
	buffer_append_slice(&text, why);
	buffer_appendf(&text, " script: %.*s", SCRIPT_DIGEST_LEN, engine->run.script->digest);
	if (source.ptr != NULL && line.ptr != NULL)
		buffer_appendf(
		    &text, ", on %.*s:%.*s.", (int)source.len, source.ptr, (int)line.len, line.ptr);
	if (is_table) {
		script_count_error(L, -1, buffer_slice(&text));
		put_reply(engine, buffer_slice(&text));
	} else {
		script_put_error(engine, buffer_slice(&text));
	}
	buffer_release(&text);
}

static int
run_protected(lua_State *L)
{
	struct script_engine *engine = script_engine_of(L);

	script_set_arguments(L, &engine->run);
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->error_handler);
	lua_getfield(L, LUA_REGISTRYINDEX, SCRIPT_FUNCTIONS);
	lua_rawgeti(L, -1, engine->run.script->function);
	lua_remove(L, -2);
	if (lua_pcall(L, 0, 1, -2) != 0) {
		put_error(engine, L);
		return 0;
	}
	script_put_value(L, &engine->result, engine->run.proto, engine->run.resp);
	return 0;
}

static void
run_on_fiber(void *arg)
{
	struct script_engine *engine = arg;

	if (lua_cpcall(engine->lua, run_protected, NULL) == 0)
		return;
	buffer_clear(&engine->result);
	engine->ignores_limits = true;
	if (lua_istable(engine->lua, -1))
		put_error(engine, engine->lua);
	else if (engine->is_exhausted)
		script_put_error(engine, out_of_memory);
	else if (lua_type(engine->lua, -1) == LUA_TSTRING)
		script_put_error(engine, slice_of(lua_tostring(engine->lua, -1)));
	else
		script_put_error(engine, SLICE("ERR the reply of the script cannot be made"));
	lua_settop(engine->lua, 0);
	engine->ignores_limits = false;
}

/* ---- On the stack of the loop --------------------------------------------------------------- */

void
script_put_error(struct script_engine *engine, struct slice text)
{
	put_reply(engine, text);
	engine->run.has_failed = true;
	statistics_count_error(engine->server->statistics, text);
}

static void
move(struct script_engine *engine, enum script_event event)
{
	if (!script_states_move(&engine->scripts.state, event))
		assert(!"the state of the script has no such event");
}

/* Frees what large replies took. */
static void
forget_replies(struct script_engine *engine)
{
	buffer_clear(&engine->result);
	buffer_shrink(&engine->result, SCRIPT_KEEP_BYTES);
	buffer_clear(&engine->call_reply);
	buffer_shrink(&engine->call_reply, SCRIPT_KEEP_BYTES);
}

static void
drop_stand_in(struct script_engine *engine)
{
	if (engine->stand_in == NULL)
		return;
	(void)!hub_detach(&engine->stand_in->subscriber, SIZE_MAX);
	client_free(engine->stand_in);
	engine->stand_in = NULL;
}

/* The script has ended; its reply is in engine->result. */
static void
finish(struct script_engine *engine)
{
	struct script_run *run = &engine->run;

	if (run->is_killed || run->in_transaction)
		script_set_hook(engine->lua);
	run->client->db = run->db;
	if (!run->in_transaction)
		propagation_commit(engine->server, run->client);
	if (run->has_published)
		held_note_pushes(run->client);
	drop_stand_in(engine);
	move(engine, SCRIPT_EVENT_END);
	if (engine->is_exhausted)
		script_state_drop(engine);
}

static const struct job_kind kind;

static void
set_paused(struct script_engine *engine, bool is_paused)
{
	engine->server->pause->by_script = is_paused ? &kind : NULL;
	wait_event(engine->server, is_paused ? WAIT_EVENT_PAUSED : WAIT_EVENT_UNPAUSED);
}

/* Whether others are told that the server is busy. */
static void
note_busy(struct script_engine *engine, uint64_t now_us)
{
	int64_t limit_ms = engine->server->config->busy_reply_threshold_ms;

	if (engine->scripts.state != SCRIPT_WAITED || limit_ms <= 0 ||
	    now_us - engine->run.begun_us < (uint64_t)limit_ms * 1000)
		return;
	move(engine, SCRIPT_EVENT_LATE);
	wait_event(engine->server, WAIT_EVENT_UNPAUSED); /* those that wait are told */
}

/* Its script has ended. */
static bool
is_over(const struct script_job *job)
{
	return job->engine->job != job;
}

/* Ends what the job does for the engine; its reply stays. No command may come between the script
 * and the blocked clients that it serves. */
static void
end_job(struct script_job *job)
{
	struct script_engine *engine = job->engine;

	finish(engine);
	if (engine->run.has_failed)
		call_record_stats(engine->server, engine->run.command)->failed++;
	set_paused(engine, false);
	buffer_append_slice(&job->reply, buffer_slice(&engine->result));
	forget_replies(engine);
	engine->job = NULL;
	blocked_serve(engine->server);
}

/* A script that was settled is over before its job is called. */
static enum job_state
step(void *state, struct job_step *step)
{
	struct script_job *job = state;
	struct script_engine *engine = job->engine;

	if (is_over(job)) {
		buffer_append_slice(step->reply, buffer_slice(&job->reply));
		return JOB_DONE;
	}
	engine->run.until_us = step->deadline_us;
	if (!fiber_resume(engine->fiber)) {
		note_busy(engine, clock_mono_us());
		return JOB_MORE;
	}
	end_job(job);
	buffer_append_slice(step->reply, buffer_slice(&job->reply));
	return JOB_DONE;
}

/* The client has left: the script goes on all the same, because it may have written. */
static void
release(void *state)
{
	static const struct server_peer peer = {.address = "script", .local_address = ""};
	struct script_job *job = state;
	struct script_engine *engine = job->engine;
	struct client *gone = engine->run.client, *c;

	if (is_over(job)) {
		buffer_release(&job->reply);
		xfree(job);
		return;
	}
	c = client_new(engine->server, NULL, &peer);
	acl_user_unref(c->user);
	c->user = acl_user_ref(gone->user);
	c->db = gone->db;
	pending_begin(c);
	engine->stand_in = engine->run.client = c;
	job_start(engine->server, NULL, &kind, job);
}

static const struct job_kind kind = {"script", step, release};

void
script_settle(struct scripts *scripts)
{
	struct script_engine *engine = (struct script_engine *)scripts;
	struct script_run *run = &engine->run;
	uint64_t limit_us = clock_mono_us() + SETTLE_US;

	run->is_killed = !run->has_written;
	do {
		run->until_us = clock_mono_us() + FIRST_SLICE_US;
		run->is_killed = run->is_killed || run->until_us > limit_us;
	} while (!fiber_resume(engine->fiber));
	end_job(engine->job);
}

bool
script_run_prepare(struct script_engine *engine)
{
	if (engine->fiber == NULL)
		engine->fiber = fiber_new(STACK_BYTES);
	return engine->fiber != NULL;
}

void
script_run_start(struct script_engine *engine, struct request *rq)
{
	struct script_run *run = &engine->run;

	run->begun_us = clock_mono_us();
	run->until_us = run->begun_us + FIRST_SLICE_US;
	script_set_hook(engine->lua);
	move(engine, SCRIPT_EVENT_BEGIN);
	if (fiber_run(engine->fiber, run_on_fiber, engine)) {
		finish(engine);
		rq->failed = run->has_failed;
		buffer_append_slice(rq->reply, buffer_slice(&engine->result));
		forget_replies(engine);
		return;
	}
	move(engine, SCRIPT_EVENT_SUSPEND);
	set_paused(engine, true);
	engine->job = xcalloc(1, sizeof(*engine->job));
	engine->job->engine = engine;
	job_start(engine->server, rq->client, &kind, engine->job);
}
