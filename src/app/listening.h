#ifndef APP_LISTENING_H
#define APP_LISTENING_H

#include <stdbool.h>
#include <stddef.h>

#include "app/settings.h"
#include "base/buffer.h"
#include "net/net.h"

struct systemd_sockets;

/*
 * Opens what the settings say to listen on; or takes the sockets that were passed, if there are
 * any, instead: from socket activation, or with names from an upgrade. Appends to opened where it
 * listens now, to be logged. False: error says why, one line; what was opened stays for net_free.
 */
bool listening_open(struct net *net, const struct settings *s, const struct systemd_sockets *passed,
    struct buffer *opened, struct buffer *error) __attribute__((warn_unused_result));

/* Whether listening_open would find certificates and keys good: opens no socket. False: error says
 * what is wrong, one line. */
bool listening_check(const struct settings *s, struct buffer *error)
    __attribute__((warn_unused_result));

#endif
