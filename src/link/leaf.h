#ifndef LINK_LEAF_H
#define LINK_LEAF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "link/leaf_config.h"

/*
 * Leaf: a node that is a client of another server. It joins the server of this process with a link
 * (link.h): what clients subscribe to here is subscribed to there; what they publish is sent there,
 * and delivered when it comes back, so that all nodes have one order.
 *
 * After the connection was lost nobody knows how many messages were missed: subscribers are told
 * so (hub_mark_gap()), and what the history has from before cannot be resumed from. The same is
 * true of what it has when the first connection is made.
 */
struct leaf;
struct server;

/* Borrows server, and is its upstream until leaf_free(). Returns owned. */
struct leaf *leaf_new(
    struct server *server, const struct leaf_config *config, const struct leaf_io *io);
void leaf_free(struct leaf *leaf); /* NULL is allowed */

void leaf_opened(struct leaf *leaf, uint64_t now_us);
void leaf_received(struct leaf *leaf, struct slice bytes, uint64_t now_us);
void leaf_drained(struct leaf *leaf); /* all bytes were written */

/* The connection is lost, or could not be opened: why, and in what time it is tried again. */
void leaf_lost(struct leaf *leaf, const char *why, uint64_t retry_us, uint64_t now_us);

/* Once a turn. Returns the time until the next call, in us. */
uint64_t leaf_turn(struct leaf *leaf, uint64_t now_us);

#endif
