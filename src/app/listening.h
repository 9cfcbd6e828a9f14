#ifndef APP_LISTENING_H
#define APP_LISTENING_H

#include <stdbool.h>
#include <stddef.h>

#include "app/settings.h"
#include "base/buffer.h"
#include "net/net.h"

/*
 * Opens what the settings say to listen on; or, if socket_count is not 0, takes that many sockets
 * from socket activation instead. Appends to opened where it listens now, to be logged. False:
 * error says why, one line; what was opened stays for net_free.
 */
bool listening_open(struct net *net, const struct settings *s, size_t socket_count,
    struct buffer *opened, struct buffer *error) __attribute__((warn_unused_result));

#endif
