#include "config.h"

#include "server/replay.h"

#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "kv/keyspace.h"
#include "pubsub/hub.h"
#include "server/client.h"
#include "server/client_life.h"
#include "server/command.h"
#include "server/dump.h"
#include "server/dump_stream.h"
#include "server/evict.h"
#include "server/io.h"
#include "server/journal.h"
#include "server/propagation.h"
#include "server/request.h"
#include "server/wait.h"

/* Access bits are below this (kv_access). */
#define ACCESS_END (UINT64_C(1) << 24)

struct replay {
	struct client *client;
	struct buffer reply;
	bool with_use;
	bool is_foreign;
};

void
server_replay_begin(struct server *server, bool with_use)
{
	static const struct server_peer peer = {.address = "disk", .local_address = ""};

	assert(server->replay == NULL && !server->journal->is_on);
	server->replay = xcalloc(1, sizeof(*server->replay));
	server->replay->with_use = with_use;
	server->replay->client = client_new(server, NULL, &peer);
	pending_begin(server->replay->client);
}

void
server_replay_end(struct server *server)
{
	struct replay *replay = server->replay;

	(void)!hub_detach(&replay->client->subscriber, SIZE_MAX);
	client_free(replay->client);
	buffer_release(&replay->reply);
	xfree(replay);
	server->replay = NULL;
}

void
server_replay_set_foreign(struct server *server, bool is_foreign)
{
	server->replay->is_foreign = is_foreign;
}

bool
server_replays_own(const struct server *server)
{
	return server->replay != NULL && !server->replay->is_foreign;
}

/* A handler that blocks, or does not change keys, needs a client. */
static bool
can_be_replayed(const struct command *command)
{
	return (command->flags & CMD_SELECT) != 0 ||
	       ((command->flags & CMD_WRITE) != 0 && (command->flags & CMD_BLOCKING) == 0);
}

/* The fault of a command that no working daemon writes to the file; NULL: none. */
static const char *
fault_of(const struct command *command, size_t argc)
{
	if (command == NULL)
		return "unknown command";
	if (!command_arity_fits(command, argc))
		return "wrong number of arguments for";
	return can_be_replayed(command) ? NULL : "not a command that is kept on disk:";
}

/* Describes the command by its name in the file, which may have any bytes, for the log. */
static void
describe(const char *fault, const struct slice *argv, char *error, size_t error_len)
{
	struct buffer name = {0};

	buffer_append_escaped(
	    &name, (struct slice){argv[0].ptr, argv[0].len < 64 ? argv[0].len : 64});
	snprintf(error, error_len, "%s '%.*s'", fault, (int)name.len, name.ptr);
	buffer_release(&name);
}

/* Describes the error of a command. */
static void
describe_reply(const struct replay *replay, const struct request *rq, char *error, size_t error_len)
{
	char name[COMMAND_NAME_MAX];
	struct buffer text = {0};

	buffer_append_escaped(&text, (struct slice){replay->reply.ptr,
					 replay->reply.len < 160 ? replay->reply.len - 2 : 160});
	snprintf(error, error_len, "%s failed: %.*s", command_full_name(rq->command, name),
	    (int)text.len, text.ptr);
	buffer_release(&text);
}

/* True for MULTI and EXEC: the reader of the file makes sure that a transaction is complete. */
static bool
is_bracket(struct slice name)
{
	return slice_is_nocase(name, "multi") || slice_is_nocase(name, "exec");
}

/* True for a line with the times of a consumer; *ok says whether it is right. */
static bool
is_consumer(struct server *server, const struct slice *argv, size_t argc, bool *ok)
{
	if (!slice_is(argv[0], DUMP_CONSUMER))
		return false;
	*ok = dump_consumer_read(kv_database(server->kv, server->replay->client->db), argv, argc);
	return true;
}

/* True for a line with the use of a key; *ok says whether it is right. */
static bool
is_use(struct server *server, const struct slice *argv, size_t argc, bool *ok)
{
	bool is_lfu = slice_is(argv[0], DUMP_LFU);
	struct kv_key *key;
	uint64_t access;

	if (!server->replay->with_use || (!is_lfu && !slice_is(argv[0], DUMP_LRU)))
		return false;
	*ok = argc == 3 && slice_to_u64(argv[2], &access) && access < ACCESS_END;
	if (!*ok || is_lfu != evict_counts_uses(server))
		return true;
	key = kv_find(kv_database(server->kv, server->replay->client->db), argv[1]);
	*ok = key != NULL;
	if (*ok)
		kv_set_access(key, (uint32_t)access);
	return true;
}

bool
server_replay_knows(const struct server *server, const struct slice *argv, size_t argc)
{
	return command_find_of(server->commands, argv, argc) != NULL;
}

bool
server_replay(
    struct server *server, const struct slice *argv, size_t argc, char *error, size_t error_len)
{
	struct replay *replay = server->replay;
	struct request rq = {.server = server,
	    .client = replay->client,
	    .argv = argv,
	    .argc = argc,
	    .reply = &replay->reply,
	    .proto = 2};
	enum command_result result;
	const char *fault;
	bool ok;

	if (is_bracket(argv[0]))
		return true;
	if (is_use(server, argv, argc, &ok) || is_consumer(server, argv, argc, &ok)) {
		if (!ok)
			describe("wrong arguments for", argv, error, error_len);
		return ok;
	}
	rq.command = command_find_of(server->commands, argv, argc);
	fault = fault_of(rq.command, argc);
	if (fault != NULL) {
		describe(fault, argv, error, error_len);
		return false;
	}
	do {
		rq.now_us = clock_mono_us();
		result = rq.command->handler(&rq);
	} while (result == COMMAND_AGAIN);
	replay->client->pending->progress = 0;
	if (rq.failed && (rq.command->flags & CMD_SELECT) != 0)
		snprintf(error, error_len,
		    "SELECT of an unknown database: start with more databases, and rewrite the "
		    "file before they become fewer");
	else if (rq.failed)
		describe_reply(replay, &rq, error, error_len);
	buffer_clear(&replay->reply);
	propagation_discard(server->propagation);
	while (kv_lazy_free_some(server->kv, SIZE_MAX))
		;
	return !rq.failed;
}
