#include "config.h"

#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "kv/keyspace.h"
#include "server/journal.h"
#include "server/state.h"

/* Commands from disk that get an error, as they must not, are logged; the first ones. */
#define ERRORS_LOGGED 10

struct replay {
	struct client *client;
	struct buffer reply;
	uint64_t errors;
};

void
server_replay_begin(struct server *server)
{
	static const struct server_peer peer = {.address = "disk", .local_address = ""};

	assert(server->replay == NULL && !server->journal.is_on);
	server->replay = xcalloc(1, sizeof(*server->replay));
	server->replay->client = client_new(server, NULL, &peer);
}

void
server_replay_end(struct server *server)
{
	struct replay *replay = server->replay;

	(void)!hub_detach(&replay->client->subscriber, SIZE_MAX);
	client_free(replay->client);
	buffer_release(&replay->reply);
	if (replay->errors > 0)
		log_error("%llu commands from disk could not be carried out",
		    (unsigned long long)replay->errors);
	xfree(replay);
	server->replay = NULL;
}

static const struct command *
find(const struct server *server, const struct slice *argv, size_t argc)
{
	const struct command *command = command_find(server, NULL, argv[0]);

	if (command != NULL && (command->flags & CMD_CONTAINER) != 0 && argc > 1)
		command = command_find(server, command, argv[1]);
	return command;
}

static void
note_error(struct replay *replay, const struct request *rq)
{
	char name[COMMAND_NAME_MAX];

	if (replay->errors++ < ERRORS_LOGGED)
		log_error("%s from disk could not be carried out: %.*s",
		    command_full_name(rq->command, name), (int)(replay->reply.len - 2),
		    replay->reply.ptr);
}

/* True for what begins or ends a transaction: who reads a file sees to it that it is whole. */
static bool
is_bracket(struct slice name)
{
	return slice_is_nocase(name, "multi") || slice_is_nocase(name, "exec");
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

	if (is_bracket(argv[0]))
		return true;
	rq.command = find(server, argv, argc);
	if (rq.command == NULL || !command_arity_fits(rq.command, argc)) {
		struct buffer name = {0};

		buffer_append_escaped(
		    &name, (struct slice){argv[0].ptr, argv[0].len < 64 ? argv[0].len : 64});
		snprintf(error, error_len, "%s '%.*s'",
		    rq.command == NULL ? "unknown command" : "wrong number of arguments for",
		    (int)name.len, name.ptr);
		buffer_release(&name);
		return false;
	}
	do {
		rq.now_us = clock_mono_us();
		result = rq.command->handler(&rq);
	} while (result == COMMAND_AGAIN);
	replay->client->progress = 0;
	if (rq.failed && slice_is_nocase(argv[0], "select")) {
		snprintf(error, error_len, "a database that there is not: see databases");
		return false;
	}
	if (rq.failed)
		note_error(replay, &rq);
	buffer_clear(&replay->reply);
	buffer_clear(&server->log);
	server->log_count = 0;
	while (kv_tidy(server->kv, SIZE_MAX))
		;
	return true;
}
