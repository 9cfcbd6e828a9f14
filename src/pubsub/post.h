#ifndef PUBSUB_POST_H
#define PUBSUB_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/position.h"
#include "pubsub/wire_form.h"

/* Post: a message as it is given to the hub to be published, what became of it, and the results of
 * the hub's functions. */
struct subscriber;

struct hub_post {
	enum hub_kind kind; /* HUB_CHANNEL or HUB_SHARD */
	struct slice channel, payload;
	const struct subscriber *except; /* does not get it; NULL: all get it */
	uint64_t seq; /* of its position, in a hub that follows (hub_follow.h): the message is kept;
			 0: it is not */
	bool only_patterns; /* a HUB_CHANNEL: for subscribers of patterns only, and not kept */
};

struct hub_outcome {
	size_t receivers;   /* subscriptions that it reached */
	size_t queued;      /* outboxes that took it */
	size_t catching_up; /* get it from the history later; the other receivers dropped it */
	struct hub_position position; /* 0-0: the channel keeps no history, or it is to come */
	uint64_t sent; /* the upstream gives it a position: its number (sent_messages.h); 0: none */
};

enum hub_result {
	HUB_OK,
	HUB_ALREADY, /* subscribed before; nothing changed */
	HUB_NOT_SUBSCRIBED,
	HUB_NAME_TOO_LONG,
	HUB_TOO_MANY_SUBSCRIPTIONS, /* of this subscriber */
	HUB_TOO_MANY_SUBSCRIBERS,   /* of this channel or pattern */
	HUB_BLOCKED, /* a subscriber under OUTBOX_BLOCK has no room: nothing was done; publish again
			later */
	HUB_FULL, /* limits.memory_bytes would be exceeded: nothing was done; publish again later */
	HUB_TOO_LARGE, /* this message alone exceeds limits.memory_bytes: waiting does not help */
	HUB_PREPARING, /* a large message is being copied, no subscriber has it yet: publish it
			  again in the next turn, or end the publication */
};

#endif
