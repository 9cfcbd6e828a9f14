#ifndef APP_SYSTEMD_H
#define APP_SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The protocols of systemd, sd_notify(3) and sd_listen_fds(3), spoken without its library. What the
 * environment says is taken out of it, so that it is not meant for anyone else.
 */

/* Where the sockets passed by socket activation begin. */
#define SYSTEMD_FIRST_FD 3

/* The listening sockets that were passed to this process. */
struct systemd_sockets {
	size_t count;
	char *names;         /* owned: one for each, colons between them; NULL: none */
	bool by_predecessor; /* in an upgrade; the one who took them sets it */
};

/* They are closed on exec from now on. Returns owned names (xfree). */
struct systemd_sockets systemd_take_sockets(void);

bool systemd_has_supervisor(void); /* NOTIFY_SOCKET is set */

/* Opens the way to the supervisor. False with errno; then systemd_notify() says nothing. */
bool systemd_open(void) __attribute__((warn_unused_result));
void systemd_close(void);
const char *systemd_path(void); /* of the supervisor that the way is open to, else NULL; borrowed */

/* State in the protocol's lines: "READY=1\nSTATUS=..." */
void systemd_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
