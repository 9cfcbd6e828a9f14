#include "config.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "kv/keyspace.h"
#include "script/state.h"
#include "server/access.h"
#include "server/call_record.h"
#include "server/client.h"
#include "server/command.h"
#include "server/dispatch.h"
#include "server/evict.h"
#include "server/journal.h"
#include "server/propagation.h"
#include "server/server_config.h"
#include "server/statistics.h"

/* redis.call, redis.pcall and redis.acl_check_cmd: commands of a script. */

/* Room for a number as text. */
#define NUMBER_MAX 40

/* What libc makes of "%.17g", but an integer as Redis writes it. */
static size_t
number_text(lua_Number v, char text[NUMBER_MAX])
{
	if (v >= -9007199254740992.0 && v <= 9007199254740992.0 && v == floor(v))
		return bytes_from_i64(text, (int64_t)v);
	return (size_t)snprintf(text, NUMBER_MAX, "%.17g", v);
}

/*
 * Makes slices of the arguments, which stay on the stack of Lua. False: one is neither string nor
 * number. Numbers are replaced by their texts.
 */
static bool
take_arguments(lua_State *L, struct script_engine *engine, size_t argc)
{
	if (argc > engine->call_args_cap) {
		engine->call_args = xrealloc(engine->call_args, argc * sizeof(*engine->call_args));
		engine->call_args_cap = argc;
	}
	for (size_t i = 0; i < argc; i++) {
		struct slice *arg = &engine->call_args[i];
		int type = lua_type(L, (int)i + 1);
		char text[NUMBER_MAX];

		if (type == LUA_TNUMBER) {
			lua_pushlstring(L, text, number_text(lua_tonumber(L, (int)i + 1), text));
			lua_replace(L, (int)i + 1);
		} else if (type != LUA_TSTRING) {
			return false;
		}
		arg->ptr = lua_tolstring(L, (int)i + 1, &arg->len);
	}
	return true;
}

/* Of a script without flags each command that may take memory is checked, until it has written;
 * see engine.c for the others. */
static bool
lacks_memory(const struct script_run *run, const struct request *rq)
{
	return (run->flags & (SCRIPT_HAS_NO_FLAGS | SCRIPT_ALLOW_OOM)) == SCRIPT_HAS_NO_FLAGS &&
	       !run->has_written && (rq->command->flags & CMD_DENYOOM) != 0 &&
	       rq->server->config->maxmemory_bytes != 0 && !evict_make_room(rq->server);
}

/* NULL, or why the script may not execute the command. */
static const char *
refusal(const struct script_run *run, struct request *rq)
{
	static const char *const denials[] = {
	    [ACL_DENIED_COMMAND] =
		"ERR The user executing the script can't run this command or subcommand",
	    [ACL_DENIED_KEY] = "ERR The user executing the script can't access at least one of the "
			       "keys mentioned in the command arguments",
	    [ACL_DENIED_CHANNEL] = "ERR The user executing the script can't publish to the channel "
				   "mentioned in the command",
	};
	const struct command *command = rq->command;
	bool writes;
	enum acl_verdict verdict;

	if (command == NULL)
		return "ERR Unknown Redis command called from script";
	if (!command_arity_fits(command, rq->argc))
		return "ERR Wrong number of args calling Redis command from script";
	if ((command->flags & (CMD_NOSCRIPT | CMD_NO_MULTI)) != 0)
		return "ERR This Redis command is not allowed from script";
	verdict = access_of_script(rq);
	if (verdict != ACL_ALLOWED)
		return denials[verdict];
	writes = (command->flags & (CMD_WRITE | CMD_MAY_REPLICATE)) != 0;
	if (writes && (run->flags & SCRIPT_NO_WRITES) != 0)
		return "ERR Write commands are not allowed from read-only scripts.";
	if ((command->flags & CMD_WRITE) != 0 && rq->server->journal->refuses)
		return rq->server->journal->refusal;
	if (lacks_memory(run, rq))
		return "OOM command not allowed when used memory > 'maxmemory'.";
	return NULL;
}

/* redis.set_repl: what the command has changed is not logged. */
static void
execute(struct script_run *run, struct request *rq)
{
	struct propagation *p = rq->server->propagation;
	size_t len = p->commands.len, count = p->count;
	uint32_t db = p->db, at_db = p->at_db;

	request_execute_queued(rq);
	if ((run->replicates & SCRIPT_REPL_AOF) != 0)
		return;
	p->commands.len = len;
	p->count = count;
	p->db = db;
	p->at_db = at_db;
}

/* Runs the command; its reply, or the error, is in engine->call_reply. */
static void
run_command(struct script_engine *engine, size_t argc)
{
	struct script_run *run = &engine->run;
	struct request rq = {.server = engine->server,
	    .client = run->client,
	    .argv = engine->call_args,
	    .argc = argc,
	    .reply = &engine->call_reply,
	    .proto = run->resp,
	    .now_us = run->begun_us,
	    .now_ms = run->now_ms,
	    .in_transaction = true,
	    .in_script = true};
	const char *why;

	buffer_clear(&engine->call_reply);
	rq.command = command_find_of(engine->server->commands, rq.argv, argc);
	why = refusal(run, &rq);
	if (why != NULL) {
		if (rq.command != NULL)
			call_record_stats(rq.server, rq.command)->rejected++;
		request_error(&rq, "%s", why);
		return;
	}
	if ((rq.command->flags & (CMD_WRITE | CMD_MAY_REPLICATE)) != 0)
		run->has_written = true;
	if ((rq.command->flags & CMD_PUBSUB) != 0)
		run->has_published = true;
	execute(run, &rq);
}

/* Pushes the result. True: it is an error. */
static bool
call(lua_State *L)
{
	struct script_engine *engine = script_engine_of(L);
	int argc = lua_gettop(L);

	if (argc == 0) {
		script_push_error(
		    L, SLICE("-ERR Please specify at least one argument for this redis lib call"));
		return true;
	}
	if (!take_arguments(L, engine, (size_t)argc)) {
		script_push_error(
		    L, SLICE("-ERR Lua redis lib command arguments must be strings or integers"));
		return true;
	}
	run_command(engine, (size_t)argc);
	/* Lua limits the stack of a function: many arguments would leave no room for the reply. */
	lua_settop(L, 0);
	script_push_reply(L, buffer_slice(&engine->call_reply));
	return engine->call_reply.ptr[0] == '-';
}

int
script_call(lua_State *L)
{
	return call(L) ? lua_error(L) : 1;
}

int
script_pcall(lua_State *L)
{
	(void)call(L);
	return 1;
}

int
script_acl_check_cmd(lua_State *L)
{
	struct script_engine *engine = script_engine_of(L);
	const struct acl_user *user = engine->run.client->user;
	const struct command_table *table = engine->server->commands;
	const struct command *command;
	int argc = lua_gettop(L);
	size_t at;

	if (argc == 0)
		return script_raise(
		    L, "Please specify at least one argument for this redis lib call");
	if (!take_arguments(L, engine, (size_t)argc))
		return script_raise(
		    L, "Lua redis lib command arguments must be strings or integers");
	command = command_find_of(table, engine->call_args, (size_t)argc);
	if (command == NULL)
		return script_raise(L, "Invalid command passed to redis.acl_check_cmd()");
	lua_pushboolean(
	    L, acl_check(user, command_acl(table, command), engine->call_args, (size_t)argc,
		   engine->server->config->queue_groups, &at) == ACL_ALLOWED);
	return 1;
}
