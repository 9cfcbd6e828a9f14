#ifndef SERVER_JOURNAL_H
#define SERVER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "server/clients.h"

/*
 * Journal: collects the changes made by commands, as commands, in one batch a turn, for the
 * append-only file. It opens no file.
 *
 * Batches are numbered from 1. While the journal holds, the reply of a command that changed
 * something, and later replies to its client, are held back until its batch is on disk
 * (server_journal_kept). Messages to the client, and other clients, do not wait.
 */
struct server;

struct journal {
	bool is_on;   /* changes are collected */
	bool holds;   /* replies wait until their changes are on disk */
	bool refuses; /* commands that would change something get this error: */
	char refusal[320];
	bool has_failed; /* batches cannot be written: replies that would be held become this error:
			  */
	char failure[320];
	bool is_crowded;     /* commands that would change something wait: too much is unwritten */
	struct buffer batch; /* of this turn */
	uint64_t taken;      /* batches taken; the one being filled has the next number */
	uint64_t kept;       /* number of the last batch on disk */
	uint32_t db;         /* database of the next commands in the batch */
	bool has_db;         /* the batch has selected db */
	struct client_list holding; /* clients with held replies */
	uint64_t changes;           /* since the last snapshot */
};

/*
 * Appends commands, in RESP, that changed database db; after a crash all of them are there or none.
 */
void journal_append(struct journal *journal, uint32_t db, struct slice commands, size_t count);

/*
 * is_on: changes are collected; holds: replies wait. Replies already held still wait for their
 * batch, which must be taken before the journal is switched off.
 */
void server_journal_set(struct server *server, bool is_on, bool holds);

/*
 * Moves the batch to *batch (released or zeroed before), with its number. False: the batch is
 * empty.
 */
bool server_journal_take(struct server *server, struct buffer *batch, uint64_t *number)
    __attribute__((warn_unused_result));

/* The number of the batch that was taken last; 0: none yet. */
uint64_t server_journal_taken(const struct server *server);

/* The next command collected begins with a SELECT of its database. */
void server_journal_forget_database(struct server *server);

/*
 * Commands that change something get this error from now on ("MISCONF ..."). NULL: no longer.
 * Copies.
 */
void server_refuse_writes(struct server *server, const char *error);

/* Commands that change something wait while crowded: too much is unwritten. */
void server_journal_crowded(struct server *server, bool crowded);

/* Changes since the last snapshot, see server_saved. */
uint64_t server_changes(const struct server *server);
void server_saved(struct server *server, uint64_t changes);           /* subtracts these */
void server_restore_changes(struct server *server, uint64_t changes); /* of a predecessor */

#endif
