#ifndef APP_DAEMON_H
#define APP_DAEMON_H

#include <stdbool.h>

/*
 * Going to the background, and the file with the process id.
 */

/*
 * Forks. The parent waits until the child is ready or has ended, and exits with 0 or with the
 * child's exit status, so that errors at the start are seen on stderr and in the status. Returns in
 * the child, which leads a new session, the descriptor for daemon_ready(); -1 with errno if fork or
 * pipe fails.
 */
int daemon_detach(void);

/* Lets the parent exit and redirects stdin, stdout and stderr to /dev/null. Takes ready_fd. */
void daemon_ready(int ready_fd);

/* False with errno. */
bool pidfile_write(const char *path) __attribute__((warn_unused_result));

/* Removes the file if it still contains this process's id. */
void pidfile_remove(const char *path);

#endif
