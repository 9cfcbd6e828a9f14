#ifndef SERVER_PROPAGATION_H
#define SERVER_PROPAGATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Propagation: which commands go to the append-only file for the one that runs. By default that is
 * the command as it came; a handler whose outcome is random or relative in time says what to keep
 * in its place. The commands of a transaction are collected until EXEC is done.
 */
struct client;
struct request;
struct server;

struct propagation {
	struct buffer commands; /* of the running command or transaction, in RESP */
	size_t count;           /* of them */
	uint32_t db;            /* the database in which they begin ... */
	uint32_t at_db;         /* ... and that which they have selected by now */
};

/*
 * What goes to the append-only file in place of the command as it came; may be called several
 * times, for several commands. Copies. With no call and no key_changed nothing goes there.
 */
void request_propagate(struct request *rq, const struct slice *argv, size_t argc);

/* The handler of rq is done: what it changed goes to the journal, or, in a transaction, is kept
 * until propagation_commit. */
void propagation_finish(struct request *rq);
void propagation_commit(struct server *server, struct client *c);

/* A key was removed because of its time or to make room. */
void propagation_removed(struct server *server, uint32_t db, struct slice name);

/* What was collected is forgotten: commands are read from disk. */
void propagation_discard(struct propagation *p);

#endif
