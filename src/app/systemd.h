#ifndef APP_SYSTEMD_H
#define APP_SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The protocols of systemd, sd_notify(3) and sd_listen_fds(3), without its library. The variables
 * are removed from the environment, so that child processes do not use them.
 */

/* The first descriptor that socket activation passes. */
#define SYSTEMD_FIRST_FD 3

/* The listening sockets that were passed to this process. */
struct systemd_sockets {
	size_t count;
	char *names;         /* owned: one for each, separated by colons; NULL: none */
	bool by_predecessor; /* in an upgrade; the caller sets it */
};

/* Takes the sockets from the environment and sets close-on-exec. Returns owned names (xfree). */
struct systemd_sockets systemd_take_sockets(void);

bool systemd_has_supervisor(void); /* NOTIFY_SOCKET is set */

/* Connects to the supervisor. False with errno; then systemd_notify() does nothing. */
bool systemd_open(void) __attribute__((warn_unused_result));
void systemd_close(void);
const char *systemd_path(void); /* of the supervisor's socket; NULL if not connected; borrowed */

/* State in the protocol's lines: "READY=1\nSTATUS=..." */
void systemd_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
