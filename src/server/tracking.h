#ifndef SERVER_TRACKING_H
#define SERVER_TRACKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "server/client.h"
#include "server/command.h"
#include "server/core.h"
#include "server/request.h"
#include "server/tracking_state.h"

/*
 * Tracking: CLIENT TRACKING, which informs clients that cache values of changed keys, as Redis 7.2
 * does. The keys that a command has read are noted after it (tracking_executed); a change of a key
 * (tracking_changed) is told once to each client that has read it, at once, and to the clients with
 * a matching prefix (tracking_prefixes.h) at the end of the turn. What is sent, and when, is in
 * tracking_push.h. Nothing is done for a command or a change while no client tracks.
 */
void tracking_init(struct tracking *tracking);
void tracking_release(struct tracking *tracking);

/* NULL: it has never switched tracking on. */
static inline struct client_tracking *
tracking_of(const struct client *c)
{
	return c->session != NULL ? c->session->tracking : NULL;
}

/* Made if there is none. */
struct client_tracking *tracking_need(struct client *c);

/* NULL unless tracking is on. */
struct client_tracking *tracking_if_on(const struct client *c);

/* Switches tracking on, or changes its options. Its prefixes were added before: see
 * tracking_prefixes.h. */
void tracking_switch_on(struct client *c, uint8_t options, uint64_t redirect);

/* Removes at most *budget of the client's prefixes, which it lowers; switches tracking off as soon
 * as none is left: true. */
bool tracking_switch_off(struct client *c, size_t *budget) __attribute__((warn_unused_result));

/* For a client that has left: the same, and removes at most `budget` items. True if nothing is
 * left. */
bool tracking_detach(struct client *c, size_t budget) __attribute__((warn_unused_result));

void tracking_free(struct client *c); /* it is being freed, and nothing is left of it */

/* All keys may have changed: every client is told to forget all. */
void tracking_all_changed(struct server *server);

/* Called once a turn: tells of keys with prefixes, frees memory, closes slow clients. True if more
 * can be done at once. */
bool tracking_turn(struct server *server);

/* Only called by the functions below. */
void tracking_note_read(struct request *rq, struct client_tracking *own);
void tracking_note_change(struct server *server, const struct client *by, struct slice name);
void tracking_end_request(struct client *c, const struct command *command, bool is_over);

/*
 * Called behind each command that was executed, of a transaction or script too, also if it failed:
 * notes the keys that it read. For one that waits for a key: when it begins to wait, and when it is
 * served.
 */
static inline void
tracking_executed(struct request *rq)
{
	struct client_tracking *own = tracking_of(rq->client);

	if (own != NULL && own->is_on && (rq->command->flags & CMD_READONLY) != 0)
		tracking_note_read(rq, own);
}

/* The key was changed, created or removed, for any reason; by: the client whose command did it, or
 * NULL. */
static inline void
tracking_changed(struct server *server, const struct client *by, struct slice name)
{
	if (server->tracking->client_count > 0 || server->tracking->table.count > 0)
		tracking_note_change(server, by, name);
}

/* c's request was executed as far as possible; command: its row, or NULL; is_over: it is done. */
static inline void
tracking_request_executed(struct client *c, const struct command *command, bool is_over)
{
	if (c->session != NULL && (c->session->tracking != NULL || c->session->late.len > 0))
		tracking_end_request(c, command, is_over);
}

#endif
