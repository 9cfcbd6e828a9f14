#include "config.h"

#include "script/engine.h"

#include <assert.h>
#include <lauxlib.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fiber.h"
#include "base/hash_map.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/random.h"
#include "script/run.h"
#include "script/state.h"
#include "server/client.h"
#include "server/clients.h"
#include "server/evict.h"
#include "server/held.h"
#include "server/journal.h"
#include "server/monitor.h"
#include "server/server_config.h"

/* The cache of scripts, and what EVAL and its kin check before a script runs. */

/* Scripts that came with EVAL and are kept; SCRIPT LOAD keeps more, up to script-maxmemory. */
#define EVALS_MAX 500

/* The longest error text of a first line. */
#define ERROR_MAX 256

static struct script_engine *
engine_of(struct scripts *scripts)
{
	return (struct script_engine *)scripts;
}

/* ---- The cache ----------------------------------------------------------------------------- */

/* Each EVAL needs it. SHA1() of OpenSSL 3 looks the algorithm up each time, which takes longer than
 * a short script. */
static void
digest_of(struct script_engine *engine, struct slice body, char digest[SCRIPT_DIGEST_LEN])
{
	unsigned char bytes[SHA_DIGEST_LENGTH];

	if (EVP_DigestInit_ex(engine->sha1_context, engine->sha1, NULL) != 1 ||
	    EVP_DigestUpdate(engine->sha1_context, body.ptr, body.len) != 1 ||
	    EVP_DigestFinal_ex(engine->sha1_context, bytes, NULL) != 1)
		assert(!"SHA-1 needs no resources that can fail");
	hex_write(digest, bytes, sizeof(bytes));
}

static struct script *
find(const struct script_engine *engine, struct slice digest)
{
	char lower[SCRIPT_DIGEST_LEN];

	if (digest.len != SCRIPT_DIGEST_LEN)
		return NULL;
	for (size_t i = 0; i < sizeof(lower); i++)
		lower[i] = digest.ptr[i] >= 'A' && digest.ptr[i] <= 'F'
			       ? (char)(digest.ptr[i] + ('a' - 'A'))
			       : digest.ptr[i];
	return hash_map_get(engine->by_digest, (struct slice){lower, sizeof(lower)});
}

static size_t
script_bytes(const struct script *s)
{
	return sizeof(*s) + s->len;
}

static void
drop_script(struct script_engine *engine, struct script *s)
{
	hash_map_remove(engine->by_digest, (struct slice){s->digest, sizeof(s->digest)});
	if (s->is_eval) {
		TAILQ_REMOVE(&engine->evals, s, evals);
		engine->evals_count--;
	}
	if (engine->lua != NULL && s->generation == engine->generation) {
		engine->ignores_limits = true; /* the list of free references may grow */
		lua_getfield(engine->lua, LUA_REGISTRYINDEX, SCRIPT_FUNCTIONS);
		luaL_unref(engine->lua, -1, s->function);
		lua_pop(engine->lua, 1);
		engine->ignores_limits = false;
	}
	engine->bodies_bytes -= script_bytes(s);
	xfree(s);
}

static void
use_again(struct script_engine *engine, struct script *s)
{
	if (!s->is_eval || TAILQ_NEXT(s, evals) == NULL)
		return;
	TAILQ_REMOVE(&engine->evals, s, evals);
	TAILQ_INSERT_TAIL(&engine->evals, s, evals);
}

static void
keep_always(struct script_engine *engine, struct script *s)
{
	if (!s->is_eval)
		return;
	TAILQ_REMOVE(&engine->evals, s, evals);
	engine->evals_count--;
	s->is_eval = false;
}

/* Drops scripts that came with EVAL until the new one has room. False: it has none. */
static bool
make_room(struct script_engine *engine, size_t bytes)
{
	size_t max = engine->server->config->script_maxmemory_bytes;
	struct script *s;

	while (engine->evals_count >= EVALS_MAX ||
	       (max > 0 && engine->bodies_bytes + engine->lua_bytes + bytes > max)) {
		s = TAILQ_FIRST(&engine->evals);
		if (s == NULL)
			return false;
		drop_script(engine, s);
	}
	return true;
}

/* ---- Compiling ----------------------------------------------------------------------------- */

static int
compile_protected(lua_State *L)
{
	struct script *s = lua_touserdata(L, 1);

	lua_getfield(L, LUA_REGISTRYINDEX, SCRIPT_FUNCTIONS);
	if (luaL_loadbuffer(L, s->body + s->start, s->len - s->start, "@user_script") != 0)
		return lua_error(L);
	s->function = luaL_ref(L, -2);
	return 0;
}

/* Compiles it for the Lua state that there is. False after replying with an error. */
static bool
compile(struct script_engine *engine, struct request *rq, struct script *s)
{
	const char *why;

	if (s->len > s->start && s->body[s->start] == LUA_SIGNATURE[0]) {
		request_error(
		    rq, "ERR Error compiling script (new function): bytecode is not allowed");
		return false;
	}
	if (lua_cpcall(engine->lua, compile_protected, s) == 0) {
		s->generation = engine->generation;
		return true;
	}
	why = lua_tostring(engine->lua, -1);
	if (engine->is_exhausted)
		request_error(rq, SCRIPT_MEMORY_ERROR);
	else
		request_error(rq, "ERR Error compiling script (new function): %s",
		    why != NULL ? why : "unknown error");
	lua_settop(engine->lua, 0);
	return false;
}

/* False after replying with an error. */
static bool
has_state(struct script_engine *engine, struct request *rq)
{
	if (engine->lua != NULL && engine->is_exhausted)
		script_state_drop(engine);
	if ((engine->lua != NULL || script_state_new(engine)) && script_run_prepare(engine))
		return true;
	request_error(rq, SCRIPT_MEMORY_ERROR);
	return false;
}

/* NULL after replying with an error. */
static struct script *
add(struct script_engine *engine, struct request *rq, struct slice body,
    const char digest[SCRIPT_DIGEST_LEN])
{
	char error[ERROR_MAX];
	struct script *s;
	uint32_t flags;
	size_t start;
	const char *why = script_read_shebang(body, &flags, &start, error, sizeof(error));

	if (why != NULL) {
		request_error(rq, "%s", why);
		return NULL;
	}
	if (!make_room(engine, sizeof(*s) + body.len)) {
		request_error(rq, SCRIPT_MEMORY_ERROR);
		return NULL;
	}
	s = xmalloc(sizeof(*s) + body.len);
	memcpy(s->digest, digest, sizeof(s->digest));
	memcpy(s->body, body.ptr, body.len);
	s->len = body.len;
	s->flags = flags;
	s->start = start;
	s->function = LUA_NOREF;
	if (!compile(engine, rq, s)) {
		xfree(s);
		return NULL;
	}
	s->is_eval = true;
	hash_map_set(engine->by_digest, (struct slice){s->digest, sizeof(s->digest)}, s);
	TAILQ_INSERT_TAIL(&engine->evals, s, evals);
	engine->evals_count++;
	engine->bodies_bytes += script_bytes(s);
	return s;
}

/* The script of the request, compiled. NULL after replying with an error. */
static struct script *
script_of(struct script_engine *engine, struct request *rq, enum script_command how)
{
	char digest[SCRIPT_DIGEST_LEN];
	struct slice name = {digest, sizeof(digest)};
	struct script *s;

	if ((how & SCRIPT_BY_DIGEST) != 0)
		name = rq->argv[1];
	else
		digest_of(engine, rq->argv[1], digest);
	s = find(engine, name);
	if (s == NULL && (how & SCRIPT_BY_DIGEST) != 0) {
		request_error(rq, "NOSCRIPT No matching script. Please use EVAL.");
		return NULL;
	}
	if (!has_state(engine, rq))
		return NULL;
	if (s == NULL)
		return add(engine, rq, rq->argv[1], digest);
	if (s->generation != engine->generation && !compile(engine, rq, s))
		return NULL;
	use_again(engine, s);
	return s;
}

/* ---- EVAL ---------------------------------------------------------------------------------- */

/* False after replying with an error. */
static bool
take_key_count(struct request *rq, size_t *keys)
{
	int64_t count;

	if (!slice_to_i64(rq->argv[2], &count))
		request_error(rq, "ERR value is not an integer or out of range");
	else if (count > (int64_t)(rq->argc - 3))
		request_error(rq, "ERR Number of keys can't be greater than number of args");
	else if (count < 0)
		request_error(rq, "ERR Number of keys can't be negative");
	else {
		*keys = (size_t)count;
		return true;
	}
	return false;
}

/* What the flags that a script states demand. False after replying with an error. */
static bool
flags_allow(struct request *rq, const struct script *s, enum script_command how)
{
	uint32_t flags = s->flags;

	if ((flags & SCRIPT_HAS_NO_FLAGS) != 0)
		return true;
	if ((how & SCRIPT_READ_ONLY) != 0 && (flags & SCRIPT_NO_WRITES) == 0) {
		request_error(
		    rq, "ERR Can not execute a script with write flag using *_ro command.");
		return false;
	}
	if ((flags & (SCRIPT_NO_WRITES | SCRIPT_ALLOW_OOM)) == 0 &&
	    rq->server->config->maxmemory_bytes != 0 && !evict_make_room(rq->server)) {
		request_error(rq, "OOM command not allowed when used memory > 'maxmemory'.");
		return false;
	}
	if ((flags & SCRIPT_NO_WRITES) == 0 && rq->server->journal->refuses) {
		request_error(rq, "%s", rq->server->journal->refusal);
		return false;
	}
	return true;
}

/*
 * A script may do what must wait until earlier replies to its client are sent, and may write; but
 * once it runs it cannot wait.
 */
static bool
waits_for_disk(const struct request *rq)
{
	return !rq->in_transaction &&
	       (rq->server->journal->is_crowded || !held_is_empty(rq->client) ||
		   held_is_unsynced(rq->client));
}

static bool
is_read_only(const struct scripts *scripts, struct slice script)
{
	const struct script_engine *engine = (const struct script_engine *)scripts;
	char error[ERROR_MAX];
	const struct script *known;
	uint32_t flags = 0;
	size_t start;

	if (script.len >= 2 && memcmp(script.ptr, "#!", 2) == 0)
		return script_read_shebang(script, &flags, &start, error, sizeof(error)) == NULL &&
		       (flags & SCRIPT_NO_WRITES) != 0;
	known = find(engine, script);
	return known != NULL && (known->flags & SCRIPT_NO_WRITES) != 0;
}

static enum command_result
run(struct request *rq, enum script_command how)
{
	struct script_engine *engine = engine_of(rq->server->scripts);
	struct script *s;
	size_t keys;

	assert(engine->scripts.state == SCRIPT_IDLE);
	if (!take_key_count(rq, &keys))
		return COMMAND_DONE;
	if (waits_for_disk(rq)) {
		rq->waits_for = WAIT_DISK;
		return COMMAND_LATER;
	}
	s = script_of(engine, rq, how);
	if (s == NULL || !flags_allow(rq, s, how))
		return COMMAND_DONE;
	engine->run = (struct script_run){
	    .script = s,
	    .command = rq->command,
	    .client = rq->client,
	    .argv = rq->argv + 3,
	    .argc = rq->argc - 3,
	    .keys = keys,
	    .flags = s->flags | ((how & SCRIPT_READ_ONLY) != 0 ? SCRIPT_NO_WRITES : 0),
	    .proto = rq->proto,
	    .resp = 2,
	    .replicates = SCRIPT_REPL_AOF,
	    .now_ms = request_now_ms(rq),
	    .db = rq->client->db,
	    .in_transaction = rq->in_transaction,
	};
	if (!TAILQ_EMPTY(rq->server->monitors))
		monitor_show(rq->server, rq); /* before its commands */
	script_run_start(engine, rq);
	return COMMAND_DONE;
}

/* ---- SCRIPT -------------------------------------------------------------------------------- */

static bool
load(struct request *rq, struct slice body, char digest[SCRIPT_DIGEST_LEN])
{
	struct script_engine *engine = engine_of(rq->server->scripts);
	struct script *s;

	digest_of(engine, body, digest);
	s = find(engine, (struct slice){digest, SCRIPT_DIGEST_LEN});
	if (s == NULL) {
		if (!has_state(engine, rq))
			return false;
		s = add(engine, rq, body, digest);
	}
	if (s == NULL)
		return false;
	keep_always(engine, s);
	return true;
}

static bool
exists(struct scripts *scripts, struct slice digest)
{
	return find(engine_of(scripts), digest) != NULL;
}

/* The state goes too, with all that scripts have left in it. */
static void
flush(struct scripts *scripts)
{
	script_state_drop(engine_of(scripts));
	script_cache_drop(engine_of(scripts));
}

static const char *
kill_script(struct scripts *scripts)
{
	struct script_engine *engine = engine_of(scripts);

	if (scripts->state < SCRIPT_WAITED)
		return "NOTBUSY No scripts in execution right now.";
	if (engine->run.has_written)
		return "UNKILLABLE Sorry the script already executed write commands against the "
		       "dataset. You can either wait the script termination or kill the server in "
		       "a hard way using the SHUTDOWN NOSAVE command.";
	engine->run.is_killed = true;
	return NULL;
}

static void
figures(const struct scripts *scripts, struct script_figures *out)
{
	const struct script_engine *engine = (const struct script_engine *)scripts;

	*out = (struct script_figures){
	    .count = hash_map_count(engine->by_digest),
	    .vm_bytes = engine->lua_bytes,
	    .all_bytes = engine->lua_bytes + engine->bodies_bytes,
	};
}

static void
engine_free(struct scripts *scripts)
{
	struct script_engine *engine = engine_of(scripts);

	if (engine->lua != NULL) /* at once: no job runs any more */
		lua_close(engine->lua);
	engine->lua = NULL;
	script_cache_free(engine);
	fiber_free(engine->fiber);
	EVP_MD_CTX_free(engine->sha1_context);
	EVP_MD_free(engine->sha1);
	buffer_release(&engine->result);
	buffer_release(&engine->call_reply);
	xfree(engine->call_args);
	xfree(engine);
}

void
script_engine_attach(struct server *server)
{
	static const struct scripts_ops ops = {
	    .run = run,
	    .is_read_only = is_read_only,
	    .load = load,
	    .exists = exists,
	    .flush = flush,
	    .kill = kill_script,
	    .settle = script_settle,
	    .figures = figures,
	    .free = engine_free,
	};
	EVP_MD *sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	struct script_engine *engine;

	if (sha1 == NULL) {
		log_error("OpenSSL has no SHA-1, so there are no scripts");
		return;
	}
	engine = xcalloc(1, sizeof(*engine));
	engine->scripts.ops = &ops;
	engine->server = server;
	engine->by_digest = hash_map_new();
	TAILQ_INIT(&engine->evals);
	engine->sha1 = sha1;
	engine->sha1_context = EVP_MD_CTX_new();
	engine->random = random_next(server->random) >> 16;
	server->scripts = &engine->scripts;
}
