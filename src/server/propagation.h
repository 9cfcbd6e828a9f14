#ifndef SERVER_PROPAGATION_H
#define SERVER_PROPAGATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Propagation: the commands that go to the append-only file for the one that runs. By default that
 * is the command as it came; a handler whose outcome is random, or depends on the time, gives other
 * commands instead. The commands of a transaction are collected until EXEC is done.
 */
struct client;
struct request;
struct server;

struct propagation {
	struct buffer commands; /* of the running command or transaction, in RESP */
	size_t count;           /* number of commands */
	uint32_t db;            /* database in which they begin */
	uint32_t at_db;         /* database selected by them so far */
};

/*
 * Logs this command instead of the running one; called once for each command to log. Copies.
 * Without a call and without key_changed nothing is logged.
 */
void request_propagate(struct request *rq, const struct slice *argv, size_t argc);

/*
 * The handler of rq is done: its changes go to the journal, or, in a transaction, are kept until
 * propagation_commit.
 */
void propagation_finish(struct request *rq);
void propagation_commit(struct server *server, struct client *c);

/* A key was removed because it expired or to free memory. */
void propagation_removed(struct server *server, uint32_t db, struct slice name);

/* Discards what was collected: commands are being replayed from disk. */
void propagation_discard(struct propagation *p);

#endif
