#ifndef SERVER_REPLAY_H
#define SERVER_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* Replay: carries out the commands of the append-only file when the daemon starts. */
struct server;

/*
 * A command read from disk: is done at once, by nobody, unseen by any client. False, and why in
 * error, if the command is unknown, not one that changes keys, not well-formed, or gets an error.
 * MULTI and EXEC are passed over. Between begin and end; while that lasts no key ends by its time.
 */
void server_replay_begin(struct server *server);
bool server_replay(struct server *server, const struct slice *argv, size_t argc, char *error,
    size_t error_len) __attribute__((warn_unused_result));
void server_replay_end(struct server *server);

#endif
