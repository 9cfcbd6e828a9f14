#ifndef APP_DAEMON_H
#define APP_DAEMON_H

#include <stdbool.h>

/*
 * Going to the background, and the file with the process id.
 */

/*
 * Forks. The caller's process waits until the child is ready or has ended, and exits with 0 or with
 * the child's exit status; so whoever starts a daemon sees on stderr, and by the status, what went
 * wrong. Returns, in the child, a leader of a session of its own, what daemon_ready() takes; -1
 * with errno where that fails.
 */
int daemon_detach(void);

/* Lets the caller go; stdin, stdout and stderr lead nowhere from then on. Takes ready_fd. */
void daemon_ready(int ready_fd);

/* False with errno. */
bool pidfile_write(const char *path) __attribute__((warn_unused_result));

/* Removes it if it still is this process's. */
void pidfile_remove(const char *path);

#endif
