#ifndef SERVER_JOURNAL_H
#define SERVER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Journal: what commands change, collected as commands, a batch a turn, for whoever keeps it on
 * disk.
 *
 * Batches are numbered from 1. While the journal holds, the reply of a command that changed
 * something, and what its client is told after it, stays back until its batch is kept
 * (server_journal_kept); messages to the client, and everybody else, do not wait. It opens no file.
 */
struct buffer;
struct server;

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

/* All batches up to this one are as safe on disk as was asked for. */
void server_journal_kept(struct server *server, uint64_t number);

/* Commands that change something get this error from now on ("MISCONF ..."). NULL: no more. Copies.
 */
void server_refuse_writes(struct server *server, const char *error);

/* Batches cannot be kept: the changes whose replies are held get this error, and so do later ones
 * that were let through. NULL: that is over. Copies. */
void server_journal_failed(struct server *server, const char *error);

/* What changes something waits while more is to be written than there should be. */
void server_journal_crowded(struct server *server, bool crowded);

/*
 * A command read from disk: is done at once, by nobody, unseen by any client. False, and why in
 * error, if the command is unknown, not one that changes keys, not well-formed, or gets an error.
 * MULTI and EXEC are passed over. Between begin and end; while that lasts no key ends by its time.
 */
void server_replay_begin(struct server *server);
bool server_replay(struct server *server, const struct slice *argv, size_t argc, char *error,
    size_t error_len) __attribute__((warn_unused_result));
void server_replay_end(struct server *server);

/* The commands that make the keyspace as it is, in pieces of some size to sink, which borrows them.
 * False: sink said so. */
bool server_dump(const struct server *server, bool (*sink)(void *arg, struct slice commands),
    void *arg) __attribute__((warn_unused_result));

size_t server_key_count(const struct server *server);

/* Changes since server_saved said last that all before were in a snapshot. */
uint64_t server_changes(const struct server *server);
void server_saved(struct server *server, uint64_t changes); /* so many fewer */

#endif
