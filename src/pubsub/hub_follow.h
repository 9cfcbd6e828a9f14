#ifndef PUBSUB_HUB_FOLLOW_H
#define PUBSUB_HUB_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/position.h"

/*
 * Follow: a hub whose positions are given by another server, so that they are valid at each hub
 * that follows it.
 *
 * That server numbers the kept messages of all channels, and this hub gets those of some channels,
 * in the order of their positions (struct hub_post, seq). Only such a message is kept here. The
 * ring of a channel is a copy of what the other server keeps: it is loaded before the first message
 * is kept, so that readers can begin with messages from before. Of a channel that is not loaded
 * nothing is kept, and nothing can be resumed; nor can a pattern, because it is not known here
 * which channels it matches.
 */
struct hub;

/* The hub follows from now on, for good. Until hub_follow_from() nothing is kept. */
void hub_follow(struct hub *hub);

/* Frees all rings, and goes on with messages behind this position. Its seq is not less than that of
 * any position before, whatever the epoch: subscribers and requests have stored seqs only. */
void hub_follow_from(struct hub *hub, struct hub_position position);

/* Everything up to the seq was posted, or is not for this hub. seq is not less than before. */
void hub_follow_to(struct hub *hub, uint64_t seq);

struct hub_loaded_message {
	uint64_t seq;
	uint64_t age_us;
	struct slice payload;
};

/* What the other server keeps of a channel. */
struct hub_loaded {
	struct slice channel;
	uint64_t trimmed_seq; /* all messages with a higher seq are here */
	uint64_t newest_seq;  /* of the channel's newest message, kept or not */
	uint64_t number;      /* of messages that the channel ever had */
	const struct hub_loaded_message *messages; /* the oldest first */
	size_t count;
};

/*
 * Gives the channel a ring with these messages, as far as its options allow. Does nothing if it has
 * a ring, or keeps no history. No seq is above that of hub_follow_to(). Subscribers get none of
 * these messages, unless they subscribe later and begin with them.
 */
void hub_load_history(struct hub *hub, const struct hub_loaded *loaded, uint64_t now_us);

/*
 * `count` messages of the channel, at least 1, are missing, and cannot be had any more; the newest
 * of them had this seq. Readers that are behind them lose them; the channel's other subscribers get
 * a notice, if their outbox has `notify`. WIRE_MISSED_UNKNOWN: their number is not known. Members
 * of a queue group are told that an unknown number is missing. Subscribers of patterns are not
 * told, unless they have a replay.
 */
void hub_miss_history(struct hub *hub, struct slice channel, uint64_t seq, uint64_t count);

#endif
