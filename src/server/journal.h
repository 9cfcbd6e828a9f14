#ifndef SERVER_JOURNAL_H
#define SERVER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "server/clients.h"

/*
 * Journal: what commands change, collected as commands, a batch a turn, for whoever keeps it on
 * disk.
 *
 * Batches are numbered from 1. While the journal holds, the reply of a command that changed
 * something, and what its client is told after it, stays back until its batch is kept
 * (server_journal_kept); messages to the client, and everybody else, do not wait. It opens no file.
 */
struct server;

struct journal {
	bool is_on;   /* changes are collected */
	bool holds;   /* replies wait until they are kept */
	bool refuses; /* what would change something gets this error: */
	char refusal[320];
	bool has_failed; /* batches cannot be kept: what would be held gets this error: */
	char failure[320];
	bool is_crowded;     /* ... waits: too much is to be written already */
	struct buffer batch; /* of this turn */
	uint64_t taken;      /* batches: the number of the one that is being filled is one more */
	uint64_t kept;       /* number of the last that is on disk */
	uint32_t db;         /* that commands in the batch are for, from here on */
	bool has_db;         /* ... it says so */
	struct client_list holding; /* who is held something */
	uint64_t changes;           /* since the last snapshot */
};

/* Commands, in RESP, that changed database db; after a crash all are there or none. */
void journal_append(struct journal *journal, uint32_t db, struct slice commands, size_t count);

/* is_on: changes are collected; holds: replies wait. What is held already waits for its batch all
 * the same, which has to be handed on before the journal is switched off. */
void server_journal_set(struct server *server, bool is_on, bool holds);

/* Moves what was collected to *batch (released or zeroed before), with its number. False: there is
 * nothing. */
bool server_journal_take(struct server *server, struct buffer *batch, uint64_t *number)
    __attribute__((warn_unused_result));

/* The number of the batch that was taken last; 0: none yet. */
uint64_t server_journal_taken(const struct server *server);

/* The next command that is collected says which database it is for. */
void server_journal_forget_database(struct server *server);

/* Commands that change something get this error from now on ("MISCONF ..."). NULL: no more. Copies.
 */
void server_refuse_writes(struct server *server, const char *error);

/* What changes something waits while more is to be written than there should be. */
void server_journal_crowded(struct server *server, bool crowded);

/* Changes since server_saved said last that all before were in a snapshot. */
uint64_t server_changes(const struct server *server);
void server_saved(struct server *server, uint64_t changes); /* so many fewer */

#endif
