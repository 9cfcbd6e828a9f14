#ifndef LINK_TESTING_FOLLOWER_H
#define LINK_TESTING_FOLLOWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "link/engine.h"
#include "pubsub/hub_follow.h"

/*
 * Truths: a list of all messages that an engine has accepted, for each of a few channels. The
 * payload of a message is a number.
 */
#define TRUTHS_CHANNELS 6

struct truth {
	uint64_t seq, id;
};

struct truths {
	struct {
		struct truth *messages; /* in the order of seq */
		size_t count;
		size_t begin;   /* of those after the last flush */
		size_t deleted; /* so many were removed by a command */
	} channels[TRUTHS_CHANNELS];
};

void truths_init(struct truths *truths);
void truths_release(struct truths *truths);
const char *truths_name(int channel);
int truths_channel(struct slice name);
/* The engine has published this frame under this seq. */
void truths_hear(struct truths *truths, int channel, uint64_t seq, struct slice frame);
size_t truths_behind(
    const struct truths *truths, int channel, uint64_t seq); /* the first message behind the seq */

/*
 * Follower: what a hub and its subscribers are told by an engine.h, each time compared with the
 * truths: a ring has all messages behind its first one, and each message is told once, in order.
 */
struct follower {
	const struct truths *truths;
	struct hub_position newest;
	struct {
		bool is_loaded; /* the hub has a ring ... */
		bool has_ring;  /* ... and has not removed it */
		size_t first;   /* of truths: that the ring has, or may have had */
		size_t next;    /* of truths: everything before it is here or was told */
		bool is_member; /* it has a subscriber */
		size_t heard;   /* the same as next, for that */
		bool has_hole;  /* some are missing, which is not told yet */
	} channels[TRUTHS_CHANNELS];
	uint64_t randoms;
	uint64_t deletions; /* calls of deleted */
	uint64_t anews, exact,
	    unknown; /* calls of begins, and of missed with and without a number */
};

extern const struct engine_ops follower_ops; /* the argument is the follower */

/* The channel has a subscriber, who gets what is behind the newest position. */
void follower_subscribe(struct follower *hub, int channel);
/* The ring and the subscriber have all messages, and no others. */
void follower_assert_settled(const struct follower *hub, int channel);
/* The subscriber is told that something is missing up to the newest position. */
void follower_mark_gap(struct follower *hub, int channel);

#endif
