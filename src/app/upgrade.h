#ifndef APP_UPGRADE_H
#define APP_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "net/net.h"

/*
 * Upgrade: a daemon starts its successor with its own path, arguments and working directory, and
 * passes its listening sockets to it.
 *
 * The sockets go as in socket activation, see systemd.h: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES.
 * FANFARED_UPGRADE is the descriptor of a socket between the two (upgrade_channel.h). What they say
 * to each other is up to hand_over.h and take_over.h.
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

/* Starts the successor; u->fd is the socket to it. False: error says why. */
bool upgrade_start(struct upgrade *u, const struct net_listener *listeners, size_t count,
    struct buffer *error) __attribute__((warn_unused_result));

void upgrade_disconnect(struct upgrade *u); /* closes the socket */
void upgrade_give_up(struct upgrade *u);    /* also ends the successor */

/* After SIGCHLD: true if the started process has ended, with its status as of waitpid(). */
bool upgrade_reap(struct upgrade *u, pid_t *child, int *status) __attribute__((warn_unused_result));

/* The successor's side: takes its descriptor from the environment; -1: the process was not started
 * by an upgrade. False: it was, but the descriptor is not open. */
bool upgrade_take(int *fd) __attribute__((warn_unused_result));

#endif
