#ifndef PUBSUB_HUB_IMAGE_H
#define PUBSUB_HUB_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/position.h"

/*
 * Image: everything that positions of a hub depend on, so that another hub (the next start, or the
 * successor in an upgrade) continues them: the newest position, and each ring with its messages and
 * their ages. It says nothing of subscribers and options.
 *
 * A reader takes only what is consistent: whatever is wrong with an image, a position never names
 * two messages, and no gap is hidden. It knows no file and no format.
 */
struct hub;
struct ring;
struct topic;

struct hub_image_head {
	struct hub_position newest;
	uint64_t forgotten_seq; /* history.h */
};

struct hub_image_ring {
	struct slice channel;
	uint32_t ttl_s;
	uint32_t appended;
	uint32_t messages; /* that follow */
	uint64_t trimmed_seq, newest_seq;
	uint64_t touched_age_us; /* since the newest message */
};

struct hub_image_message { /* of the ring before it, the oldest first */
	uint64_t seq;
	uint64_t age_us;
	struct slice payload;
};

/* Each returns false to stop. */
struct hub_image_sink {
	bool (*head)(void *arg, const struct hub_image_head *head);
	bool (*ring)(void *arg, const struct hub_image_ring *ring);
	bool (*message)(void *arg, const struct hub_image_message *message);
	void *arg;
};

/* False: the sink has stopped it. While channels have to follow changed options (hub_reclassify) it
 * takes a seq, which names no message: they may have had messages that are not kept. */
bool hub_image_write(struct hub *hub, const struct hub_image_sink *sink, uint64_t now_us)
    __attribute__((warn_unused_result));

/*
 * The reader. hub has no ring, and is not used otherwise until hub_image_end(), which every begun
 * image needs. A false means that the image is inconsistent: read no further, and give the hub
 * another epoch (hub_image_forget()).
 */
struct hub_image_reader {
	struct hub *hub; /* borrowed */
	uint64_t now_us;
	uint64_t elapsed_us; /* since the image was written: added to each age */
	struct ring *ring;   /* that gets messages; NULL: none */
	uint64_t last_seq, last_age_us;
	uint32_t left; /* messages of it to come */
	bool is_single;
};

bool hub_image_begin(struct hub_image_reader *r, struct hub *hub, const struct hub_image_head *head,
    uint64_t now_us, uint64_t elapsed_us) __attribute__((warn_unused_result));
bool hub_image_ring(struct hub_image_reader *r, const struct hub_image_ring *ring)
    __attribute__((warn_unused_result));
bool hub_image_message(struct hub_image_reader *r, const struct hub_image_message *message)
    __attribute__((warn_unused_result));

/* Applies the hub's options and limits to the rings. options_differ: other channels than before may
 * keep messages. False: the last ring is incomplete. */
bool hub_image_end(struct hub_image_reader *r, bool options_differ)
    __attribute__((warn_unused_result));

/* Frees all rings, and begins this epoch. */
void hub_image_forget(struct hub *hub, uint64_t epoch);

#endif
