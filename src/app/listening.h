#ifndef APP_LISTENING_H
#define APP_LISTENING_H

#include <stdbool.h>
#include <stddef.h>

#include "app/settings.h"
#include "base/buffer.h"
#include "net/net.h"

struct systemd_sockets;

/*
 * Opens the listeners of the settings or, if sockets were passed to the process by socket
 * activation or by an upgrade (with names), uses these instead. Appends the addresses to opened,
 * for the log. False: error says why in one line; listeners that were opened stay open until
 * net_free.
 */
bool listening_open(struct net *net, const struct settings *s, const struct systemd_sockets *passed,
    struct buffer *opened, struct buffer *error) __attribute__((warn_unused_result));

/* True if a directive asks for a listener for TLS. */
bool listening_has_tls(const struct settings *s);
/* Reads certificates and keys for these listeners: s has their ports. Returns owned, or NULL with
 * one line in error. */
struct tls *listening_make_tls(
    const struct settings *s, const struct tls_settings *files, char *error, size_t error_len);

/* Checks certificates and keys as listening_open does, without opening a socket. False: error says
 * what is wrong, in one line. */
bool listening_check(const struct settings *s, struct buffer *error)
    __attribute__((warn_unused_result));

#endif
