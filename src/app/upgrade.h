#ifndef APP_UPGRADE_H
#define APP_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "net/net.h"

/*
 * Upgrade: a daemon starts its successor, from the path, with the arguments and in the folder that
 * it was started with itself, on its own listening sockets, and hands over to it.
 *
 * The sockets go as in socket activation, see systemd.h: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES.
 * FANFARED_UPGRADE is the descriptor of a socket between the two. The successor says there that it
 * could serve, and waits; the daemon answers that it may, and from then on accepts nothing. If
 * either ends, or says nothing in time, the other one knows: never do both go on, or none.
 */
struct upgrade {
	char *path;  /* owned: the program, absolute; NULL: it cannot be known */
	char *cwd;   /* owned */
	char **argv; /* borrowed */
	pid_t child; /* 0: none, or it has been waited for */
	int fd;      /* our end of the socket; -1: no upgrade is under way */
};

/* Says how this process was started; before the working directory changes. Borrows argv, for as
 * long as u stands. */
void upgrade_init(struct upgrade *u, char **argv);
void upgrade_release(struct upgrade *u); /* gives up what is under way */

/* Starts the successor. False: error says why. Else u->fd is to be awaited. */
bool upgrade_start(struct upgrade *u, const struct net_listener *listeners, size_t count,
    struct buffer *error) __attribute__((warn_unused_result));

/* u->fd is readable: the successor's process id, which may be a child's of the one started. It
 * waits for upgrade_hand_over(). False: error says why it cannot serve. */
bool upgrade_read(struct upgrade *u, pid_t *successor, struct buffer *error)
    __attribute__((warn_unused_result));

/* Lets it serve; nothing is under way any more. False: it has ended. */
bool upgrade_hand_over(struct upgrade *u) __attribute__((warn_unused_result));

void upgrade_give_up(struct upgrade *u); /* the successor must not serve; ends it */

/* After SIGCHLD: true if the process that was started has ended, with what waitpid() says. */
bool upgrade_reap(struct upgrade *u, pid_t *child, int *status) __attribute__((warn_unused_result));

/* The successor's side. The descriptor that it was given, taken out of the environment; -1: it was
 * not started by an upgrade. False: it was, but the descriptor is not there. */
bool upgrade_take(int *fd) __attribute__((warn_unused_result));

/* Says that it could serve, and waits until it may. Takes fd. False: it may not. */
bool upgrade_announce(int fd) __attribute__((warn_unused_result));

#endif
