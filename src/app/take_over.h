#ifndef APP_TAKE_OVER_H
#define APP_TAKE_OVER_H

#include <stdbool.h>

#include "base/buffer.h"

/*
 * Take over: the upgrade in the successor, before its event loop runs. It receives the keys and the
 * files from the process that serves (hand_over.h is that side), and then waits for the word to
 * serve. Until then it writes no file and accepts no connection: if anything fails, or the other
 * process gives the upgrade up, it must end, and the other one continues. Only a history file is
 * removed before: no process may use it, because the other one serves without it.
 */
struct persistence;
struct server;

/*
 * Receives keys and opens files, in the place of persistence_start(). fd is the socket of
 * upgrade_take(). False: error says why; the other process was told.
 */
bool take_over_keys(int fd, struct server *server, struct persistence *persistence,
    struct buffer *error) __attribute__((warn_unused_result));

/*
 * Reports that this process can serve, and waits for the answer. Takes fd. False: it must not
 * serve. After true nothing may fail any more, and *departures_fd is the socket of departures.h;
 * the caller owns it; -1: none arrived.
 */
bool take_over_serve(int fd, int *departures_fd) __attribute__((warn_unused_result));

#endif
