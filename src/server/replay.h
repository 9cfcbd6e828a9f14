#ifndef SERVER_REPLAY_H
#define SERVER_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* Replay: executes the commands of the append-only file, or of a predecessor, when the daemon
 * starts. */
struct server;

/*
 * Executes a command read from disk at once, without a client, unseen by clients. False, with the
 * reason in error, if the command is unknown, does not change keys, is malformed, or fails. MULTI
 * and EXEC are skipped. Called between begin and end, during which no key expires. with_use: the
 * lines of a dump with it (dump.h) are known; those of another kind of policy are ignored.
 */
void server_replay_begin(struct server *server, bool with_use);
bool server_replay(struct server *server, const struct slice *argv, size_t argc, char *error,
    size_t error_len) __attribute__((warn_unused_result));
void server_replay_end(struct server *server);

/* Whether the next commands are those of an append-only file of Redis. Initially not. */
void server_replay_set_foreign(struct server *server, bool is_foreign);

/* True while commands are replayed that this program wrote, or made from a snapshot: they say what
 * the keyspace had, whereas those of Redis mean what they mean to Redis. */
bool server_replays_own(const struct server *server);

/* False if the command is unknown. */
bool server_replay_knows(const struct server *server, const struct slice *argv, size_t argc);

#endif
