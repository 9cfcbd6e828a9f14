#include "config.h"

#include <lauxlib.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/rate_limit.h"
#include "script/state.h"
#include "server/server_config.h"

/* The table `redis` of scripts, also called `server`, but for the functions in call.c. */

#define LOG_LINE_MAX 1024

/* The levels of redis.log: debug, verbose, notice, warning. */
#define LEVELS 4

/* {name = text}: what redis.error_reply and redis.status_reply return. */
static int
error_reply(lua_State *L)
{
	struct slice text;

	if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING) {
		script_push_error(L, SLICE("-ERR wrong number or type of arguments"));
		return 1;
	}
	text.ptr = lua_tolstring(L, 1, &text.len);
	script_push_error(L, text);
	return 1;
}

static int
status_reply(lua_State *L)
{
	if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING) {
		script_push_error(L, SLICE("-ERR wrong number or type of arguments"));
		return 1;
	}
	lua_createtable(L, 0, 1);
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "ok");
	return 1;
}

static int
sha1hex(lua_State *L)
{
	unsigned char digest[SHA_DIGEST_LENGTH];
	char hex[SHA_DIGEST_LENGTH * 2];
	size_t len;
	const char *text;

	if (lua_gettop(L) != 1)
		return script_raise(L, "wrong number of arguments");
	text = lua_tolstring(L, 1, &len);
	SHA1((const unsigned char *)(text != NULL ? text : ""), text != NULL ? len : 0, digest);
	hex_write(hex, digest, sizeof(digest));
	lua_pushlstring(L, hex, sizeof(hex));
	return 1;
}

static void
write_line(int level, struct slice line)
{
	static void (*const writers[LEVELS])(const char *, ...) = {
	    log_debug, log_info, log_notice, log_warn};

	writers[level]("script: %.*s", (int)line.len, line.ptr);
}

static int
log_line(lua_State *L)
{
	struct script_engine *engine = script_engine_of(L);
	struct buffer *line = &engine->call_reply; /* an error of Lua would lose one of its own */
	lua_Number level;
	int argc = lua_gettop(L);

	if (argc < 2)
		return script_raise(L, "redis.log() requires two arguments or more.");
	if (lua_type(L, 1) != LUA_TNUMBER)
		return script_raise(L, "First argument must be a number (log level).");
	level = lua_tonumber(L, 1);
	if (!(level >= 0 && level < LEVELS))
		return script_raise(L, "Invalid debug level.");
	buffer_clear(line);
	for (int i = 2; i <= argc && line->len < LOG_LINE_MAX; i++) {
		struct slice word = {lua_tostring(L, i), lua_objlen(L, i)};

		if (word.ptr == NULL)
			continue;
		if (line->len > 0)
			buffer_append_str(line, " ");
		if (word.len > LOG_LINE_MAX - line->len)
			word.len = LOG_LINE_MAX - line->len;
		buffer_append_escaped(line, word);
	}
	if (rate_limit_take(engine->server->log_limit, engine->server->now_us))
		write_line((int)level, buffer_slice(line));
	return 0;
}

static int
setresp(lua_State *L)
{
	struct script_engine *engine = script_engine_of(L);
	lua_Number version;

	if (lua_gettop(L) != 1)
		return script_raise(L, "redis.setresp() requires one argument.");
	version = lua_tonumber(L, 1);
	if (version != 2 && version != 3)
		return script_raise(L, "RESP version must be 2 or 3.");
	engine->run.resp = (int)version;
	return 0;
}

static int
set_repl(lua_State *L)
{
	struct script_engine *engine = script_engine_of(L);
	lua_Number flags;

	if (lua_gettop(L) != 1)
		return script_raise(L, "redis.set_repl() requires two arguments.");
	flags = lua_tonumber(L, 1);
	if (!(flags >= 0 && flags <= 3))
		return script_raise(L,
		    "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or "
		    "REPL_NONE.");
	engine->run.replicates = (unsigned)flags;
	return 0;
}

/* Effects are logged always. */
static int
replicate_commands(lua_State *L)
{
	lua_pushboolean(L, true);
	return 1;
}

/* There is no debugger: as in Redis outside of one. */
static int
breakpoint(lua_State *L)
{
	lua_pushboolean(L, false);
	return 1;
}

static int
do_nothing(lua_State *L)
{
	(void)L;
	return 0;
}

/* "7.2.0" as 0x00070200. */
static lua_Number
version_number(void)
{
	const char *at = SERVER_REDIS_VERSION;
	unsigned long number = 0;

	for (int i = 0; i < 3; i++) {
		char *end;

		number = (number << 8) | strtoul(at, &end, 10);
		at = *end == '.' ? end + 1 : end;
	}
	return (lua_Number)number;
}

void
script_push_api(lua_State *L)
{
	static const luaL_Reg functions[] = {
	    {"call", script_call},
	    {"pcall", script_pcall},
	    {"acl_check_cmd", script_acl_check_cmd},
	    {"error_reply", error_reply},
	    {"status_reply", status_reply},
	    {"sha1hex", sha1hex},
	    {"log", log_line},
	    {"setresp", setresp},
	    {"set_repl", set_repl},
	    {"replicate_commands", replicate_commands},
	    {"breakpoint", breakpoint},
	    {"debug", do_nothing},
	    {NULL, NULL},
	};
	static const struct {
		const char *name;
		lua_Number value;
	} numbers[] = {
	    {"LOG_DEBUG", 0},
	    {"LOG_VERBOSE", 1},
	    {"LOG_NOTICE", 2},
	    {"LOG_WARNING", 3},
	    {"REPL_NONE", 0},
	    {"REPL_AOF", SCRIPT_REPL_AOF},
	    {"REPL_SLAVE", 2},
	    {"REPL_REPLICA", 2},
	    {"REPL_ALL", 3},
	};

	lua_newtable(L);
	luaL_register(L, NULL, functions);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		lua_pushnumber(L, numbers[i].value);
		lua_setfield(L, -2, numbers[i].name);
	}
	lua_pushliteral(L, SERVER_REDIS_VERSION);
	lua_setfield(L, -2, "REDIS_VERSION");
	lua_pushnumber(L, version_number());
	lua_setfield(L, -2, "REDIS_VERSION_NUM");
}
