#ifndef APP_UPLINK_H
#define APP_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "app/settings.h"
#include "base/buffer.h"

/* Uplink: joins the connection to the upstream server (net/outgoing.h), the link over it
 * (link/leaf.h) and the settings, which none of them knows. */
struct net;
struct server;
struct uplink;

/*
 * Begins to connect in the next turn of the loop. Borrows all. *uplink is owned (uplink_free), or
 * NULL if no upstream is configured. False: the files of its TLS settings cannot be used; error
 * says why.
 */
bool uplink_new(struct uplink **uplink, const struct settings *settings, struct net *net,
    struct server *server, struct buffer *error) __attribute__((warn_unused_result));
void uplink_free(struct uplink *uplink); /* before net and server. NULL is allowed */

/* Once a turn; NULL is allowed. Returns the time until the next call, in us. */
uint64_t uplink_turn(struct uplink *uplink, uint64_t now_us);

#endif
