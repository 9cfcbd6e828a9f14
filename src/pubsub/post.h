#ifndef PUBSUB_POST_H
#define PUBSUB_POST_H

#include <stddef.h>

#include "base/bytes.h"
#include "pubsub/position.h"
#include "pubsub/wire_form.h"

/* Post: a message as it is given to the hub to be published, and what became of it. */
struct subscriber;

struct hub_post {
	enum hub_kind kind; /* HUB_CHANNEL or HUB_SHARD */
	struct slice channel, payload;
	const struct subscriber *except; /* does not get it; NULL: all get it */
};

struct hub_outcome {
	size_t receivers;   /* subscriptions that it reached */
	size_t queued;      /* outboxes that took it */
	size_t catching_up; /* get it from the history later; the other receivers dropped it */
	struct hub_position position; /* 0-0: the channel keeps no history */
};

#endif
