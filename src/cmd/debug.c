#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "cmd/args.h"
#include "cmd/debug.h"
#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/client_peer.h"
#include "server/evict.h"
#include "server/request_keys.h"
#include "server/server_config.h"

/*
 * DEBUG: the subcommands that Redis's test tools need. It is off by default because it can block
 * all clients.
 */

static bool
is_allowed(const struct request *rq)
{
	uint32_t who = rq->server->config->debug_command;

	return who == SERVER_DEBUG_YES ||
	       (who == SERVER_DEBUG_LOCAL &&
		   (rq->client->peer->is_unix || rq->client->peer->is_loopback));
}

/* As in Redis, a text that is not a number sleeps for 0 seconds. */
static void
debug_sleep(struct request *rq)
{
	char text[32];
	size_t len = rq->argv[2].len < sizeof(text) - 1 ? rq->argv[2].len : sizeof(text) - 1;
	struct timespec left;
	double seconds;

	memcpy(text, rq->argv[2].ptr, len);
	text[len] = '\0';
	seconds = strtod(text, NULL);
	if (seconds > 0 && seconds < 1e9) {
		left.tv_sec = (time_t)seconds;
		left.tv_nsec = (long)((seconds - floor(seconds)) * 1e9);
		while (nanosleep(&left, &left) != 0 && errno == EINTR)
			continue;
	}
	request_ok(rq);
}

/* In Redis's format, but memory addresses are not disclosed. */
static void
debug_object(struct request *rq)
{
	const struct kv_key *key = key_peek(rq, request_db(rq), rq->argv[2]);
	struct buffer text = {0};

	if (key == NULL) {
		request_error(rq, "ERR no such key");
		return;
	}
	buffer_appendf(&text,
	    "Value at:0x0 refcount:1 encoding:%s serializedlength:%zu lru:%lu "
	    "lru_seconds_idle:%lld",
	    kv_encoding(key), kv_type_of(key) == KV_STRING ? kv_string(key).len : kv_key_bytes(key),
	    (unsigned long)kv_access(key), (long long)evict_idle_s(rq->server, key));
	buffer_append(&text, "", 1);
	resp_put_simple(rq->reply, text.ptr);
	buffer_release(&text);
}

static void
debug_active_expire(struct request *rq)
{
	int64_t on;

	if (!args_i64(rq, rq->argv[2], &on))
		return;
	rq->server->expires_on_access_only = on == 0;
	request_ok(rq);
}

/* The text as it came, not counted as an error: clients are tested with it. */
static void
debug_error(struct request *rq)
{
	resp_put_error(rq->reply, rq->argv[2]);
}

static void
help(struct request *rq)
{
	static const char *const lines[] = {
	    "DIGEST",
	    "    Output a hex signature representing the current DB content.",
	    "DIGEST-VALUE <key> [<key> ...]",
	    "    Output a hex signature of the values of all the specified keys.",
	    "ERROR <string>",
	    "    Return a Redis protocol error with <string> as message.",
	    "OBJECT <key>",
	    "    Show the encoding, size and idle time of a key.",
	    "PROTOCOL <type>",
	    "    Reply with a test value of the specified type. <type> can be: string,",
	    "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
	    "    true, false.",
	    "RELOAD",
	    "    Make all keys anew from the commands that a rewrite would write.",
	    "SET-ACTIVE-EXPIRE <0|1>",
	    "    Whether expired keys are removed in the background, or only on access.",
	    "SLEEP <seconds>",
	    "    Stop the server for <seconds>. Decimals allowed.",
	    NULL,
	};

	request_help(rq, lines);
}

enum command_result
cmd_debug(struct request *rq)
{
	static const struct {
		const char *name;
		size_t least, most; /* arguments, names included */
		void (*run)(struct request *rq);
	} subcommands[] = {
	    {"sleep", 3, 3, debug_sleep},
	    {"object", 3, 3, debug_object},
	    {"set-active-expire", 3, 3, debug_active_expire},
	    {"error", 3, 3, debug_error},
	    {"digest", 2, 2, debug_digest},
	    {"digest-value", 2, SIZE_MAX, debug_digest_value},
	    {"protocol", 3, 3, debug_protocol},
	    {"reload", 2, 2, debug_reload},
	};
	size_t i;

	if (!is_allowed(rq)) {
		request_error(rq,
		    "ERR DEBUG command not allowed. If the enable-debug-command option is set to "
		    "\"local\", you can run it from a local connection, otherwise you need to set "
		    "this option in the configuration file, and then restart the server.");
		return COMMAND_DONE;
	}
	if (rq->argc == 2 && slice_is_nocase(rq->argv[1], "help")) {
		help(rq);
		return COMMAND_DONE;
	}
	for (i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
		if (rq->argc >= subcommands[i].least && rq->argc <= subcommands[i].most &&
		    slice_is_nocase(rq->argv[1], subcommands[i].name)) {
			subcommands[i].run(rq);
			return COMMAND_DONE;
		}
	}
	request_subcommand_syntax_error(rq);
	return COMMAND_DONE;
}
