#ifndef APP_PERSISTENCE_H
#define APP_PERSISTENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/settings.h"
#include "base/buffer.h"

/*
 * Persistence: what of the keyspace is on disk, from the start to the end.
 *
 * It loads what is there, hands each turn's changes to the writer of the append-only file, tells
 * the server what is kept, and has snapshots and rewrites written, by a child, one at a time. The
 * files are in the working folder, which is locked against a second daemon as long as this one
 * keeps something there. Nothing is opened, and no thread started, before something is to be kept.
 */
struct net;
struct persistence;
struct server;

/* Borrows all; to be made when the server is. Returns owned. */
struct persistence *persistence_new(
    const struct settings *settings, struct server *server, struct net *net);

/* Locks the folder, loads what is there and opens the append-only file, as the settings say. False:
 * error says why. */
bool persistence_start(struct persistence *p, struct buffer *error)
    __attribute__((warn_unused_result));

/* Locks the folder, where it is not. False: error says why. */
bool persistence_may_keep(struct persistence *p, struct buffer *error)
    __attribute__((warn_unused_result));

/* Settings have changed. */
void persistence_reconfigured(struct persistence *p);

/* Once a turn: timers. In how many us it wants to be called again. */
uint64_t persistence_turn(struct persistence *p, uint64_t now_us);

/* At the end of a turn: what it changed goes to the writer, and what was asked for begins. */
void persistence_turn_ends(struct persistence *p);

/* True if something would be lost, were another process to go on in the place of this one. */
bool persistence_holds_data(const struct persistence *p);

/* The last: a snapshot, where there are save rules and no SHUTDOWN said otherwise, and the end of
 * what is to be written. NULL is allowed. */
/* The snapshot before the end, if the save rules or SHUTDOWN want one and something has changed.
 * False: it failed, which is logged. */
bool persistence_save_last(struct persistence *p) __attribute__((warn_unused_result));

void persistence_free(struct persistence *p);

#endif
