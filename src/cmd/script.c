#include "config.h"

#include "cmd/handlers.h"
#include "resp/writer.h"
#include "server/scripts.h"

/* EVAL and its kin, and SCRIPT. server/scripts.h leads to the engine. */

/* False after replying with an error. */
static bool
has_engine(struct request *rq)
{
	if (rq->server->scripts != NULL)
		return true;
	request_error(rq, "ERR scripting is not built in");
	return false;
}

static enum command_result
run(struct request *rq, unsigned how)
{
	if (!has_engine(rq))
		return COMMAND_DONE;
	return rq->server->scripts->ops->run(rq, (enum script_command)how);
}

enum command_result
cmd_eval(struct request *rq)
{
	return run(rq, SCRIPT_EVAL);
}

enum command_result
cmd_evalsha(struct request *rq)
{
	return run(rq, SCRIPT_BY_DIGEST);
}

enum command_result
cmd_eval_ro(struct request *rq)
{
	return run(rq, SCRIPT_READ_ONLY);
}

enum command_result
cmd_evalsha_ro(struct request *rq)
{
	return run(rq, SCRIPT_BY_DIGEST | SCRIPT_READ_ONLY);
}

/* There is no debugger. */
enum command_result
cmd_script_debug(struct request *rq)
{
	if (slice_is_nocase(rq->argv[2], "no"))
		request_ok(rq);
	else if (slice_is_nocase(rq->argv[2], "yes") || slice_is_nocase(rq->argv[2], "sync"))
		request_error(rq, "ERR the debugger of scripts is not supported");
	else
		request_error(rq, "ERR Use SCRIPT DEBUG YES/SYNC/NO");
	return COMMAND_DONE;
}

enum command_result
cmd_script_exists(struct request *rq)
{
	struct scripts *scripts = rq->server->scripts;

	resp_put_array(rq->reply, rq->argc - 2);
	for (size_t i = 2; i < rq->argc; i++)
		resp_put_int(
		    rq->reply, scripts != NULL && scripts->ops->exists(scripts, rq->argv[i]));
	return COMMAND_DONE;
}

enum command_result
cmd_script_flush(struct request *rq)
{
	struct scripts *scripts = rq->server->scripts;

	if (rq->argc > 3 || (rq->argc == 3 && !slice_is_nocase(rq->argv[2], "sync") &&
				!slice_is_nocase(rq->argv[2], "async"))) {
		request_error(rq, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
		return COMMAND_DONE;
	}
	if (scripts != NULL)
		scripts->ops->flush(scripts);
	request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_script_help(struct request *rq)
{
	static const char *const lines[] = {
	    "DEBUG (YES|SYNC|NO)",
	    "    Set the debug mode for subsequent scripts executed.",
	    "EXISTS <sha1> [<sha1> ...]",
	    "    Return information about the existence of the scripts in the script cache.",
	    "FLUSH [ASYNC|SYNC]",
	    "    Flush the Lua scripts cache. Very dangerous on replicas.",
	    "    When called without the optional mode argument, the behavior is determined by the",
	    "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
	    "    * ASYNC: Asynchronously flush the scripts cache.",
	    "    * SYNC: Synchronously flush the scripts cache.",
	    "KILL",
	    "    Kill the currently executing Lua script.",
	    "LOAD <script>",
	    "    Load a script into the scripts cache without executing it.",
	    NULL,
	};

	request_help(rq, lines);
	return COMMAND_DONE;
}

enum command_result
cmd_script_kill(struct request *rq)
{
	struct scripts *scripts = rq->server->scripts;
	const char *why = scripts != NULL ? scripts->ops->kill(scripts)
					  : "NOTBUSY No scripts in execution right now.";

	if (why != NULL)
		request_error(rq, "%s", why);
	else
		request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_script_load(struct request *rq)
{
	char digest[SCRIPT_DIGEST_LEN];

	if (has_engine(rq) && rq->server->scripts->ops->load(rq, rq->argv[2], digest))
		resp_put_bulk(rq->reply, (struct slice){digest, sizeof(digest)});
	return COMMAND_DONE;
}
