#ifndef LINK_ENGINE_HELD_H
#define LINK_ENGINE_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct engine_frame;

/* Held: messages that a node has got from its engine in any order, until all are there that are to
 * be delivered before them; and the gaps between them. */
struct engine_held_item {
	uint64_t seq; /* of the message, or of the newest one that is missing */
	uint64_t
	    number;     /* of the message in its channel; of a gap: of the newest missing message */
	uint64_t count; /* 0: a message; otherwise so many are missing, or WIRE_MISSED_UNKNOWN */
	bool deletes;   /* the message is a mark */
	struct slice channel, payload; /* in the memory of the item */
};

/* All zero at first. */
struct engine_held {
	struct engine_held_item **items; /* owned, and so is each */
	size_t count, room;
	size_t at;    /* items before it were taken */
	size_t bytes; /* of memory */
};

/* Copies. engine_held_add_gap: between messages up to seq and those with a higher one. */
void engine_held_add(
    struct engine_held *held, struct slice channel, const struct engine_frame *frame);
void engine_held_add_gap(
    struct engine_held *held, uint64_t seq, uint64_t number, uint64_t count, struct slice channel);

/* Puts all in the order of seq, and each message once. */
void engine_held_sort(struct engine_held *held);

/* The next item, which is valid until the next call; NULL: there is none. */
const struct engine_held_item *engine_held_take(struct engine_held *held);

/* A message, without its epoch. Borrows. */
struct engine_frame engine_held_frame(const struct engine_held_item *item);

void engine_held_release(struct engine_held *held); /* it is empty again */

#endif
