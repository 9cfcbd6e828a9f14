#ifndef APP_PERSISTENCE_H
#define APP_PERSISTENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/settings.h"
#include "base/buffer.h"
#include "persist/keyspace.h"
#include "persist/persist.h"

/*
 * Persistence of this daemon: joins persist/persist.h to the settings, the server and the loop, and
 * knows whether a snapshot is to be written before the end. Its functions are those of persist.h
 * unless said otherwise.
 */
struct net;
struct persistence;
struct server;

/* The keys of this server, which is borrowed; for the tool as well. */
struct persist_keyspace persistence_keyspace(struct server *server);

/* Borrows all; to be made when the server is. accepted(arg) is called when the append-only file
 * that was asked for at run time has its name. Returns owned. */
struct persistence *persistence_new(const struct settings *settings, struct server *server,
    struct net *net, void (*accepted)(void *arg), void *arg);

bool persistence_start(struct persistence *p, struct buffer *error)
    __attribute__((warn_unused_result));

enum persist_switch persistence_switch_on(struct persistence *p, uint64_t *attempt,
    struct buffer *error) __attribute__((warn_unused_result));

/* Settings have changed, other than appendonly. */
void persistence_reconfigured(struct persistence *p);

/* What appendonly is to be. Switching on takes some time and is tried until it succeeds; the
 * setting follows then. Switching off is done at once. */
void persistence_want_log(struct persistence *p, bool is_wanted);

uint64_t persistence_turn(struct persistence *p, uint64_t now_us);
void persistence_turn_ends(struct persistence *p);

bool persistence_holds_data(const struct persistence *p);
void persistence_hand_over(struct persistence *p);

/* The snapshot before the end, if the save rules or SHUTDOWN want one and something has changed.
 * False: it failed, which is logged, and SHUTDOWN did not say FORCE. */
bool persistence_save_last(struct persistence *p) __attribute__((warn_unused_result));

/* No shutdown is under way any more: what SHUTDOWN said of the last snapshot is over. */
void persistence_forget_shutdown(struct persistence *p);

/* True if the last snapshot that was not cancelled failed. */
bool persistence_fails_to_save(const struct persistence *p);

/* The last snapshot, and the end of what is to be written. False: something is lost, which is
 * logged. NULL is allowed. */
bool persistence_free(struct persistence *p);

#endif
