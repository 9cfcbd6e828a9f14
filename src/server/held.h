#ifndef SERVER_HELD_H
#define SERVER_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Replies that are held back until what they acknowledge is on disk, and those behind them: per
 * client, in order. Inside the server layer only; see journal.h.
 */
struct client;
struct server;

/* Sends a reply, of any size, behind what is queued; or holds it. Copies. */
void held_push_reply(struct client *c, struct slice reply);

/* What c's command just changed is in the batch that is being filled. */
void held_note_change(struct client *c);

/* c's command writes and changed nothing: its reply rests on changes before it, and waits for them.
 */
void held_note_no_change(struct client *c);
/* c's command brought messages to c itself or subscribed it: its reply comes before them, even if
 * it is held. */
void held_note_pushes(struct client *c);

/* c's command changed c's subscriptions, protocol or user: if its reply becomes an error, the
 * connection ends after the error, because c cannot know which of them it has. */
void held_note_state(struct client *c);

bool held_is_empty(const struct client *c);

/* True while a change of c waits for the disk, whether or not it has a reply. */
bool held_is_unkept(const struct client *c);

/* The replies that c is held, in bytes. Like those in its outbox they count against its limits. */
size_t held_bytes(const struct client *c);

/* True if c is held so much that its requests have to wait. */
bool held_is_full(const struct client *c);

/* Frees what is kept of c if nothing of it waits any more: a change without a reply is not told
 * when it is on disk. To be called now and then. */
void held_trim(struct client *c);

void held_forget(struct client *c); /* the client goes */

/* All batches up to this one are as safe on disk as was asked for. */
void server_journal_kept(struct server *server, uint64_t number);

/* Batches cannot be kept: the changes whose replies are held get this error, and so do later ones
 * that were let through. NULL: that is over. Copies. */
void server_journal_failed(struct server *server, const char *error);

#endif
