#ifndef SERVER_TRANSACTION_H
#define SERVER_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"

/*
 * Transaction: the commands that a client has sent since MULTI, which EXEC runs together.
 *
 * Invariant: queued commands were allowed when they came, are copied, and are within the limits; a
 * spoiled transaction (a command was refused) holds no commands. The module knows no clients and
 * runs nothing: cmd/transaction.c does.
 */
struct command;

struct queued_command {
	TAILQ_ENTRY(queued_command) all;
	const struct command *command;
	size_t argc;
	struct slice argv[]; /* the bytes follow it */
};

TAILQ_HEAD(queued_commands, queued_command);

struct transaction {
	struct queued_commands commands; /* in the order of EXEC */
	size_t count;
	size_t bytes;           /* memory of the commands */
	uint32_t flags;         /* enum command_flag of all commands together */
	uint32_t rules_version; /* server->limits_version when it began; while it is the same,
				   queued commands are still allowed */
	bool spoiled;
};

/* Returns owned (transaction_free). */
struct transaction *transaction_new(uint32_t rules_version);
void transaction_free(struct transaction *t); /* NULL is allowed */

/*
 * Copies the arguments. flags: those that the command has with these arguments. False, and nothing
 * changed: it would exceed the maximum of commands or bytes.
 */
bool transaction_add(struct transaction *t, const struct command *command, uint32_t flags,
    const struct slice *argv, size_t argc, size_t commands_max, size_t bytes_max)
    __attribute__((warn_unused_result));

/* Frees the commands; it can only be discarded from now on. */
void transaction_spoil(struct transaction *t);

#endif
