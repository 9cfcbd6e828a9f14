#ifndef PUBSUB_HUB_LATEST_H
#define PUBSUB_HUB_LATEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/hub.h"

/*
 * The latest messages of a channel for its new subscribers: the option `replay`.
 *
 * A few messages are queued at once, behind the confirmations and before any new message, so that
 * even a ring of one message loses none meanwhile. More of them, or for an outbox that is not low,
 * or beside other channels that are replayed, are left to a replay (hub_replay.h).
 */
#define HUB_LATEST_CHANNELS 256 /* in one list */

struct hub_latest {
	uint32_t count; /* of channels */
	uint32_t messages;
	size_t bytes;                               /* of their frames */
	struct slice channels[HUB_LATEST_CHANNELS]; /* borrowed */
	uint64_t after_seqs[HUB_LATEST_CHANNELS];
};

/* As hub_subscribe() with HUB_CHANNEL. At HUB_OK the latest messages of the channel were added to
 * the list, or a replay will bring them. The list begins as {0}; it must not be full. */
enum hub_result hub_subscribe_latest(struct subscriber *s, struct slice channel, uint64_t now_us,
    struct hub_latest *latest) __attribute__((warn_unused_result));

/* True if no further channel must be added before hub_push_latest(). */
bool hub_latest_is_full(const struct hub_latest *latest) __attribute__((warn_unused_result));

/* Queues the messages of the list, in the order of seq, for the channels to which s is subscribed;
 * or leaves them to the replay of its other channels, if there is one: then call
 * hub_start_replay(). Call it in the turn in which they were added. */
void hub_push_latest(struct subscriber *s, const struct hub_latest *latest, uint64_t now_us);

#endif
