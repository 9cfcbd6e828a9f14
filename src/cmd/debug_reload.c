#include "config.h"

#include "cmd/debug.h"

#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"
#include "kv/keyspace.h"
#include "resp/parser.h"
#include "server/dump.h"
#include "server/journal.h"
#include "server/replay.h"
#include "server/request.h"

/*
 * DEBUG RELOAD: the keys become commands, as in a rewrite, and are made anew from these. All of it
 * is in memory, and one step. Nothing has changed for others, so nothing is logged.
 */

static bool
append(void *out, struct slice commands)
{
	buffer_append_slice(out, commands);
	return true;
}

/* What it reads was written by server_dump. */
static const struct protocol_limits no_limits = {
    .arg_bytes = SIZE_MAX / 4,
    .arg_count = INT32_MAX,
    .line_bytes = 65536,
    .request_bytes = SIZE_MAX / 4,
};

/* False: error says why. */
static bool
replay_all(struct server *server, struct slice commands, char *error, size_t error_len)
{
	struct resp_parser *parser = resp_parser_new(&no_limits);
	struct protocol_request request;
	bool ok = true;

	while (ok && commands.len > 0) {
		const struct slice *argv;
		size_t taken, argc;

		ok = resp_parser_feed(parser, commands.ptr, commands.len, false, &taken,
			 &request) == PROTOCOL_REQUEST;
		if (!ok) {
			snprintf(error, error_len, "a command of the dump is malformed");
			break;
		}
		commands.ptr += taken;
		commands.len -= taken;
		argv = resp_parser_args(parser, &argc);
		ok = server_replay(server, argv, argc, error, error_len);
	}
	resp_parser_free(parser);
	return ok;
}

static void
flush_all(struct kv *kv)
{
	for (uint32_t i = 0; i < kv_databases(kv); i++)
		kv_flush(kv_database(kv, i));
	while (kv_lazy_free_some(kv, SIZE_MAX))
		continue;
}

void
debug_reload(struct request *rq)
{
	struct server *server = rq->server;
	struct buffer commands = {0};
	bool was_logged = server->journal->is_on, ok;
	char error[256];

	/* The commands of a transaction that have not been logged would be forgotten. */
	if (rq->in_transaction) {
		request_error(rq, "ERR DEBUG RELOAD is not possible in a transaction");
		return;
	}
	(void)!server_dump(server, true, append, &commands);
	server->journal->is_on = false;
	flush_all(server->kv);
	server_replay_begin(server, true);
	ok = replay_all(server, buffer_slice(&commands), error, sizeof(error));
	server_replay_end(server);
	server->journal->is_on = was_logged;
	buffer_release(&commands);
	if (ok)
		request_ok(rq);
	else
		request_error(rq, "ERR Error trying to load the DB: %s", error);
}
