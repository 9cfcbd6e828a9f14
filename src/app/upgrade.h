#ifndef APP_UPGRADE_H
#define APP_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "net/net.h"

/*
 * Upgrade: a daemon starts its successor with its own path, arguments and working directory, passes
 * its listening sockets to it, and lets it take over.
 *
 * The sockets go as in socket activation, see systemd.h: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES.
 * FANFARED_UPGRADE is the descriptor of a socket between the two. The successor reports on it that
 * it is ready and waits; the daemon answers that it may serve, and accepts nothing from then on.
 * Each notices if the other ends or sends nothing in time, so that exactly one of them accepts
 * connections.
 */
struct upgrade {
	char *path;  /* owned: the program, absolute; NULL: unknown */
	char *cwd;   /* owned */
	char **argv; /* borrowed */
	pid_t child; /* 0: none, or its end was collected */
	int fd;      /* our end of the socket; -1: no upgrade is under way */
};

/* Records how this process was started; to be called before the working directory changes. Borrows
 * argv until upgrade_release. */
void upgrade_init(struct upgrade *u, char **argv);
void upgrade_release(struct upgrade *u); /* gives up an upgrade in progress */

/* Starts the successor. The caller then waits until u->fd is readable. False: error says why. */
bool upgrade_start(struct upgrade *u, const struct net_listener *listeners, size_t count,
    struct buffer *error) __attribute__((warn_unused_result));

/* To be called when u->fd is readable: reads the successor's process id, which may be that of a
 * child of the started process. The successor waits for upgrade_hand_over(). False: error says why
 * it cannot serve. */
bool upgrade_read(struct upgrade *u, pid_t *successor, struct buffer *error)
    __attribute__((warn_unused_result));

/* Lets it serve; the upgrade is finished. False: the successor has ended. */
bool upgrade_hand_over(struct upgrade *u) __attribute__((warn_unused_result));

void upgrade_give_up(struct upgrade *u); /* ends the successor */

/* After SIGCHLD: true if the started process has ended, with its status as of waitpid(). */
bool upgrade_reap(struct upgrade *u, pid_t *child, int *status) __attribute__((warn_unused_result));

/* The successor's side: takes its descriptor from the environment; -1: the process was not started
 * by an upgrade. False: it was, but the descriptor is not open. */
bool upgrade_take(int *fd) __attribute__((warn_unused_result));

/* Reports that this process is ready and waits for the answer. Takes fd. False: it must not serve.
 */
bool upgrade_announce(int fd) __attribute__((warn_unused_result));

#endif
