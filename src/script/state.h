#ifndef SCRIPT_STATE_H
#define SCRIPT_STATE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "server/scripts.h"

/* State: what the files of the engine share. */
struct client;
struct fiber;
struct hash_map;

/* Flags that a script states in its first line: "#!lua flags=no-writes,allow-oom". */
enum script_flag {
	SCRIPT_NO_WRITES = 1 << 0,
	SCRIPT_ALLOW_OOM = 1 << 1,
	SCRIPT_ALLOW_STALE = 1 << 2,
	SCRIPT_NO_CLUSTER = 1 << 3,
	SCRIPT_ALLOW_CROSS_SLOT = 1 << 4,
	SCRIPT_HAS_NO_FLAGS = 1 << 5, /* it has no such line: see engine.c */
};

/* Tables in the registry of Lua: the global table, and the functions of the cached scripts, to
 * which script.function refers. All that grows with scripts is in one of them. */
#define SCRIPT_GLOBALS "globals"
#define SCRIPT_FUNCTIONS "functions"

struct script_job;
struct script_retired;

/* A cached script. */
struct script {
	TAILQ_ENTRY(script) evals; /* while is_eval: the one that ran last is the last */
	char digest[SCRIPT_DIGEST_LEN];
	uint32_t flags;      /* enum script_flag */
	int function;        /* reference in SCRIPT_FUNCTIONS; LUA_NOREF: to be compiled */
	uint32_t generation; /* of the state that has the function */
	bool is_eval;        /* only EVAL knows it: it may be dropped */
	size_t len;
	size_t start; /* of the code in body */
	char body[];  /* with the line of flags */
};

TAILQ_HEAD(script_list, script);

/* The part of the replication flags of redis.set_repl that exists here. */
#define SCRIPT_REPL_AOF 1

/* The script in execution. */
struct script_run {
	struct script *script;
	const struct command *command; /* that runs it */
	struct client *client;
	const struct slice *argv; /* KEYS and ARGV, until they are copied */
	size_t argc, keys;
	uint32_t flags;      /* of the script, and of the command */
	int proto;           /* of the client's replies */
	int resp;            /* of the replies to the script: redis.setresp */
	unsigned replicates; /* redis.set_repl */
	int64_t now_ms;      /* the time of its commands */
	uint64_t begun_us;   /* monotonic */
	uint64_t until_us;   /* when it is suspended */
	uint32_t db;         /* that the client has selected */
	bool in_transaction; /* EXEC runs it: it cannot be suspended */
	bool has_written;
	bool has_published;
	bool has_failed; /* its reply is, or contains, an error */
	bool is_killed;
};

struct script_engine {
	struct scripts scripts; /* first */
	struct server *server;
	lua_State *lua;                 /* NULL: thrown away, or not made yet */
	struct script_retired *retired; /* the one that is being freed; NULL: none is */
	uint32_t generation;
	size_t lua_bytes;
	bool is_exhausted;   /* Lua was refused memory */
	bool ignores_limits; /* outside of protected calls, where an error would end the daemon */
	struct hash_map *by_digest;
	struct script_list evals;
	size_t evals_count;
	size_t bodies_bytes;
	struct evp_md_st *sha1; /* EVP_MD and EVP_MD_CTX of OpenSSL */
	struct evp_md_ctx_st *sha1_context;
	struct fiber *fiber;
	struct script_job *job;  /* of the suspended script; NULL: none is */
	struct client *stand_in; /* executes for a client that has left; or NULL */
	struct script_run run;
	struct buffer result;     /* the reply to the script's command */
	struct buffer call_reply; /* the reply to a command of the script */
	struct slice *call_args;
	size_t call_args_cap;
	uint64_t random;   /* the state of math.random */
	int error_handler; /* a reference in the Lua state */
};

/* The engine of a Lua state. */
static inline struct script_engine *
script_engine_of(lua_State *L)
{
	void *engine;

	(void)lua_getallocf(L, &engine);
	return engine;
}

/* lua_state.c: makes the state with all libraries. False: no memory. */
bool script_state_new(struct script_engine *engine);

/* retired.c: throws the state away, in slices if it is large. */
void script_state_drop(struct script_engine *engine);

/* Throws all cached scripts away, in slices if there are many. */
void script_cache_drop(struct script_engine *engine);

/* At once: no job runs any more. */
void script_cache_free(struct script_engine *engine);

/* sandbox.c: fills a new state; called by lua_cpcall. */
int script_fill_state(lua_State *L);

/* Sets KEYS and ARGV from run.argv. May raise an error of Lua. */
void script_set_arguments(lua_State *L, const struct script_run *run);

/* api.c: pushes the table `redis`. */
void script_push_api(lua_State *L);

/* call.c: redis.call and redis.pcall. */
int script_call(lua_State *L);
int script_pcall(lua_State *L);
int script_acl_check_cmd(lua_State *L);

/* errors.c: */

/* Pushes {err = text} as redis.error_reply makes it: a text of one word gets "ERR ". */
void script_push_error(lua_State *L, struct slice text);

/* Notes in the error on top of the stack that it has been counted. */
void script_mark_counted(lua_State *L);

/* Counts the error that the table at index is, with this text, unless it comes from a command of
 * the script, which has counted it. */
void script_count_error(lua_State *L, int index, struct slice text);

/* Raises this error. */
int script_raise(lua_State *L, const char *text);

/*
 * Gives the error on top of the stack the form {err = text, source = file, line = number}. It is
 * called while the function that failed is still on the stack.
 */
int script_handle_error(lua_State *L);

/* reply_to_lua.c: pushes the value of a reply, which is complete and was written by resp/writer.h.
 * May raise an error of Lua. */
void script_push_reply(lua_State *L, struct slice reply);

/* lua_to_reply.c: writes the value on top of the stack as a reply, and removes it. `resp` is that
 * of the script. May raise an error of Lua. */
void script_put_value(lua_State *L, struct buffer *out, int proto, int resp);

/* shebang.c: reads the first line, if it is "#!...". *start is where the code begins. NULL, or an
 * error in `error`. */
const char *script_read_shebang(
    struct slice body, uint32_t *flags, size_t *start, char *error, size_t error_len);

/* hook.c: the hook of Lua. Functions in C that may take long call it as well, with NULL. It may
 * raise an error of Lua. */
void script_hook(lua_State *L, lua_Debug *where);
void script_set_hook(lua_State *L);

#endif
