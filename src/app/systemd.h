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

/* How many listening sockets were passed to this process; they are closed on exec from now on. */
size_t systemd_take_sockets(void);

bool systemd_has_supervisor(void); /* NOTIFY_SOCKET is set */

/* Opens the way to the supervisor. False with errno; then systemd_notify() says nothing. */
bool systemd_open(void) __attribute__((warn_unused_result));
void systemd_close(void);

/* State in the protocol's lines: "READY=1\nSTATUS=..." */
void systemd_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
