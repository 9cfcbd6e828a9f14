#ifndef APP_PERSISTENCE_H
#define APP_PERSISTENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/settings.h"
#include "base/buffer.h"
#include "persist/keyspace.h"
#include "persist/persist.h"

/*
 * Persistence of this daemon: connects persist/persist.h to the settings, the server and the loop,
 * and decides whether a snapshot is written at shutdown. Functions without a comment are those of
 * persist.h.
 */
struct net;
struct persistence;
struct server;
struct transfer_files;

/* Access to the keys of server, which is borrowed; the tool uses it as well. */
struct persist_keyspace persistence_keyspace(struct server *server);

/* Borrows all; to be called right after server_new. accepted(arg) is called when an append-only
 * file that was requested at run time has got its final name. Returns owned. */
struct persistence *persistence_new(const struct settings *settings, struct server *server,
    struct net *net, void (*accepted)(void *arg), void *arg);

bool persistence_start(struct persistence *p, struct buffer *error)
    __attribute__((warn_unused_result));

bool persistence_import(struct persistence *p, bool (*fill)(void *arg, struct buffer *error),
    void *arg, struct buffer *error) __attribute__((warn_unused_result));

enum persist_switch persistence_switch_on(struct persistence *p, uint64_t *attempt,
    struct buffer *error) __attribute__((warn_unused_result));

/* Settings have changed, other than appendonly. */
void persistence_reconfigured(struct persistence *p);

/* Switches the append-only file on or off. Switching on takes some time and is tried until it
 * succeeds; then the setting changes. Switching off is done at once. */
void persistence_want_log(struct persistence *p, bool is_wanted);

uint64_t persistence_turn(struct persistence *p, uint64_t now_us);
void persistence_turn_ends(struct persistence *p);

/* For the transfer of an upgrade (persist/transfer.h): both are borrowed. */
struct persist *persistence_persist(struct persistence *p);
struct persist_keyspace persistence_server_keyspace(const struct persistence *p);

/* persist_inherit(), and the number of changes since the last snapshot. */
bool persistence_inherit(struct persistence *p, const struct transfer_files *files,
    struct buffer *error) __attribute__((warn_unused_result));

/* persist_name_owner() and persist_discard_history(). */
void persistence_name_owner(const struct persistence *p);
bool persistence_discard_history(struct persistence *p, struct buffer *error)
    __attribute__((warn_unused_result));

/* Another process serves, or this one was not allowed to: it writes nothing any more. */
void persistence_hand_over(struct persistence *p);

/* Writes the last snapshot if the save rules or SHUTDOWN require one and something has changed.
 * False: it failed, which is logged, and SHUTDOWN was not given FORCE. */
bool persistence_save_last(struct persistence *p) __attribute__((warn_unused_result));

/* The shutdown was cancelled: forgets what SHUTDOWN asked for. */
void persistence_forget_shutdown(struct persistence *p);

/* True if SHUTDOWN was given FORCE: the daemon ends with success although its files are lost. */
bool persistence_is_forced(const struct persistence *p);

/* True if the last snapshot that was not cancelled failed. */
bool persistence_fails_to_save(const struct persistence *p);

/* Writes the last snapshot and everything that is pending. False: changes are lost, which is
 * logged. NULL is allowed. */
bool persistence_free(struct persistence *p);

#endif
