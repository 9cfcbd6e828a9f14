#ifndef PUBSUB_HUB_REACH_H
#define PUBSUB_HUB_REACH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "pubsub/wire_form.h"

/* Reach: what messages that are not published here mean for the hub's subscribers. For links to
 * other servers. */
struct hub;

/* How many receivers a message of that channel (HUB_CHANNEL or HUB_SHARD) would have if it were
 * published now, without an exception, and no outbox overflowed meanwhile. Costs about as much as
 * publishing, without the message. */
size_t hub_receivers(struct hub *hub, enum hub_kind kind, struct slice channel);

/* An unknown number of messages of this channel, or for this pattern, is missing here: each of its
 * subscribers whose outbox has `notify` gets a notice behind what is queued (WIRE_MISSED_UNKNOWN),
 * and so does each member of its queue groups. Nothing counts as dropped. Costs about as much as a
 * delivery to each. */
void hub_mark_gap(struct hub *hub, enum hub_kind kind, struct slice name);

/* The same for those topics that a message of this channel would go to of which misses() says so;
 * NULL: for all of them. */
void hub_mark_gaps(struct hub *hub, enum hub_kind kind, struct slice channel,
    bool (*misses)(void *arg, enum hub_kind kind, struct slice name), void *arg);

#endif
