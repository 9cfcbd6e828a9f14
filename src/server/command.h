#ifndef SERVER_COMMAND_H
#define SERVER_COMMAND_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Commands: one row each in cmd/commands.def, from which come dispatch, arity checks, the commands
 * allowed to a subscriber, COMMAND and HELP, counters, and the list in the manual. No handler
 * repeats what its row says.
 */
struct acl_command;
struct acl_commands;
struct request;

enum command_flag {
	CMD_WRITE = 1 << 0,
	CMD_READONLY = 1 << 1,
	CMD_ADMIN = 1 << 2,
	CMD_PUBSUB = 1 << 3,
	CMD_NOSCRIPT = 1 << 4,
	CMD_LOADING = 1 << 5,
	CMD_STALE = 1 << 6,
	CMD_FAST = 1 << 7,
	CMD_NO_AUTH = 1 << 8, /* allowed before AUTH */
	CMD_ALLOW_BUSY = 1 << 9,
	CMD_SKIP_MONITOR = 1 << 10,
	CMD_SKIP_SLOWLOG = 1 << 11,
	CMD_MAY_REPLICATE = 1 << 12,     /* reported; also paused by CLIENT PAUSE WRITE */
	CMD_CHANNELS_LATER = 1 << 13,    /* see CMD_CHANNEL */
	CMD_IN_SUBSCRIBE_MODE = 1 << 14, /* allowed to a subscribed RESP2 client */
	CMD_CONTAINER = 1 << 15, /* has subcommands; its handler, if any, is for the bare name */
	CMD_NO_MULTI = 1 << 16,
	CMD_DENYOOM = 1 << 17,  /* refused if maxmemory is reached */
	CMD_BLOCKING = 1 << 18, /* may wait for a key */
	CMD_MOVABLE_KEYS = 1 << 19,
	CMD_NO_ASYNC_LOADING = 1 << 20, /* reported only, as the next */
	CMD_NO_MANDATORY_KEYS = 1 << 21,
	/* For dispatch and access control: */
	/*
	 * Channels among its arguments, counted after the names of command and subcommand. With
	 * CMD_CHANNELS_LATER they begin at the second argument instead of the first.
	 */
	CMD_CHANNEL = 1 << 22,       /* the first argument is a channel */
	CMD_CHANNELS = 1 << 23,      /* the arguments are channels */
	CMD_PATTERNS = 1 << 24,      /* the arguments are patterns of channels; with CMD_CHANNELS:
					each is a pattern if it has a special character */
	CMD_SHARD = 1 << 25,         /* its channels are shard channels */
	CMD_NOT_QUEUED = 1 << 26,    /* executed at once, even after MULTI */
	CMD_EXEC = 1 << 27,          /* executes the transaction */
	CMD_SELECT = 1 << 28,        /* selects the database of the commands that follow */
	CMD_TOUCH = 1 << 29,         /* counts as an access to keys even with CLIENT NO-TOUCH */
	CMD_CHANNEL_PAIRS = 1 << 30, /* with CMD_CHANNELS or CMD_PATTERNS: pairs of one and
					something else */
};

enum command_result {
	COMMAND_DONE,    /* the reply is in request->reply, or a job runs (job_start) */
	COMMAND_LATER,   /* no visible effect yet: the request is checked and executed again when
			    rq->waits_for has ended */
	COMMAND_BLOCKED, /* request_block: it waits for a key */
	COMMAND_AGAIN,   /* done in part, see request_slice_is_over: called again with the same
			    arguments, in a later turn, or when rq->waits_for has ended */
};

/*
 * In a transaction (request->in_transaction) nothing can wait: a handler never returns
 * COMMAND_LATER or COMMAND_BLOCKED, and request_slice_is_over is never true. If a handler returns
 * COMMAND_AGAIN it is called again at once.
 */
typedef enum command_result command_handler(struct request *rq);

struct command {
	const char *container; /* "client" for "client|list", else NULL */
	const char *name;      /* lower case; "list" for "client|list" */
	command_handler *handler;
	int arity; /* as in Redis: includes the name(s); negative: at least */
	uint32_t flags;
	const char *categories; /* "@pubsub @slow" */
	int first_key, last_key, key_step;
	const char *syntax; /* arguments only: "channel [channel ...]" */
	const char *summary;
	const char *since;
	const char *group; /* "pubsub", "connection", "server" */
	const char *complexity;
	const char *tips; /* of COMMAND INFO: "nondeterministic_output"; "" for none */
	/*
	 * Its keys and how it uses them, as Redis's key specifications: "RW access update @1 range
	 * 0 1 0; RO access @2 keynum 0 1 1 -- why": flags (enum key_spec_flag in acl/key_spec.h),
	 * the argument at which they begin (?: unknown; WORD:1: behind that word, which is at this
	 * argument or later), how to find them from there (range: last
	 * key, step, limit; keynum: position of their number, of the first key, step; unknown), a
	 * note. NULL: no keys.
	 */
	const char *keys;
};

/* All commands: their rows, an index by name, and their descriptions for access control. */
struct command_table {
	const struct command *rows; /* borrowed */
	size_t count;
	struct hash_map *names;   /* lower-case name, "client|list" for a subcommand -> row */
	struct acl_commands *acl; /* the same rows, with the same indices */
};

/* No two rows have one name. Borrows rows. Returns owned (command_table_free). */
struct command_table *command_table_new(const struct command *rows, size_t count);
void command_table_free(struct command_table *table); /* NULL is allowed */

/*
 * Finds a row by name (any case); container NULL for a top-level command. NULL if there is none.
 * command_find_full takes "client|list" as well.
 */
const struct command *command_find(
    const struct command_table *table, const struct command *container, struct slice name);
const struct command *command_find_full(const struct command_table *table, struct slice name);

/* The row of a request; NULL: the command, or the subcommand, is unknown. */
const struct command *command_find_of(
    const struct command_table *table, const struct slice *argv, size_t argc);

/* The index of a row of the table. */
static inline size_t
command_index(const struct command_table *table, const struct command *command)
{
	assert(command >= table->rows && command < table->rows + table->count);
	return (size_t)(command - table->rows);
}

/* The description of the command for access control. */
const struct acl_command *command_acl(
    const struct command_table *table, const struct command *command);

#define COMMAND_NAME_MAX 48 /* room for command_full_name */

/* "client|list", or "ping"; returns out. */
const char *command_full_name(const struct command *command, char out[COMMAND_NAME_MAX]);

/* True if the arity allows argc arguments, names included. */
bool command_arity_fits(const struct command *command, size_t argc);

/* Whether its channels may be queue names (pubsub/queue_name.h): SUBSCRIBE and its like, but not
 * QSUBSCRIBE. */
static inline bool
command_takes_queue_names(const struct command *command)
{
	return command->container == NULL && (command->flags & CMD_IN_SUBSCRIBE_MODE) != 0 &&
	       (command->flags & (CMD_SHARD | CMD_CHANNELS_LATER)) == 0;
}

/* Whether it runs a script, which may say that it does not write: EVAL and EVALSHA. */
static inline bool
command_runs_script(const struct command *command)
{
	const uint32_t wanted = CMD_MAY_REPLICATE | CMD_SKIP_MONITOR;

	return (command->flags & wanted) == wanted;
}

/* Whether its messages are published: PUBLISH and its like. Subcommands that have CMD_MAY_REPLICATE
 * only change what a successor must know. */
static inline bool
command_publishes(const struct command *command)
{
	const uint32_t wanted = CMD_MAY_REPLICATE | CMD_PUBSUB;

	return (command->flags & wanted) == wanted && command->container == NULL;
}

#endif
