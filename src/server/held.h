#ifndef SERVER_HELD_H
#define SERVER_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Held replies: replies that are held back until the changes that they acknowledge are on disk, or
 * the messages that they acknowledge were taken by the upstream; and the replies after them, in
 * order for each client. Used inside the server layer only; see journal.h and sent_messages.h.
 */
struct client;
struct server;

/* Sends a reply of any size behind the output already queued, or holds it. Copies. */
void held_push_reply(struct client *c, struct slice reply);

/* c's command changed something, which is in the batch being filled. */
void held_note_change(struct client *c);

/* c's command sent this message to the upstream. */
void held_note_sent(struct client *c, uint64_t number);

/*
 * c's command is a write that changed nothing: its reply depends on earlier changes and waits for
 * them.
 */
void held_note_no_change(struct client *c);
/*
 * c's command caused messages to c itself, or subscribed it: its reply precedes them, even if it is
 * held.
 */
void held_note_pushes(struct client *c);

/*
 * c's command changed c's subscriptions, protocol or user: if its reply becomes an error, the
 * connection is closed after it, because c cannot know its state.
 */
void held_note_state(struct client *c);

bool held_is_empty(const struct client *c);

/* True while a change of c waits for the disk, whether or not it has a reply. */
bool held_is_unsynced(const struct client *c);

/* True if the last change of c is on disk, or is not kept there. Unlike held_is_unsynced, this
 * counts whether or not the journal holds. */
bool held_is_synced(const struct client *c);

/*
 * The size of the held replies of c, in bytes. They count against its limits like those in its
 * outbox.
 */
size_t held_bytes(const struct client *c);

/* True if so many replies of c are held that its requests have to wait. */
bool held_is_full(const struct client *c);

/* Frees c->held if no reply is held and the last change of c is on disk. To be called regularly:
 * when a change without a reply reaches the disk, nothing is called for c. */
void held_trim(struct client *c);

void held_forget(struct client *c); /* the client is being freed */

/* For the link, after answers of the upstream were added to server->sent_messages: sends what does
 * not wait any more. */
void server_upstream_tell(struct server *server);

/* All batches up to this one are as safe on disk as configured. */
void server_journal_kept(struct server *server, uint64_t number);

/*
 * Batches cannot be written: held replies of changes are replaced by this error, and so are later
 * ones whose command was still accepted. NULL: batches can be written again. Copies.
 */
void server_journal_failed(struct server *server, const char *error);

#endif
