#ifndef PUBSUB_PORTION_H
#define PUBSUB_PORTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "pubsub/frame_log.h"

/*
 * Portions: messages of a replay that were encoded in one wire form, kept for a moment, so that
 * subscribers that resume from the same position share one encoding.
 *
 * The key of a portion says what it contains: the seqs of its messages, which name them for ever,
 * and through which pattern each was received. So no change of a ring can make it wrong. It knows
 * neither rings nor outboxes.
 */
struct outbox;

/* Messages of a portion that are adjacent in the log; or one that the form cannot carry. */
struct portion_piece {
	TAILQ_ENTRY(portion_piece) link;
	struct frame_range range; /* empty if it cannot be carried */
	uint32_t tag;             /* of the message that cannot be carried */
};

TAILQ_HEAD(portion_pieces, portion_piece);

struct portion {
	TAILQ_ENTRY(portion) link;
	struct portion_pieces pieces;
	char *key;
	size_t key_len;
	uint8_t form;
	bool was_used; /* since the last portions_shrink() */
	size_t bytes;  /* of its frames */
};

#define PORTIONS_MAX 16

struct portions {
	TAILQ_HEAD(portion_list, portion) list; /* the one used last first */
	uint32_t count;
	size_t bytes; /* of their frames */
};

void portions_init(struct portions *portions);
void portions_drop_all(struct portions *portions);

/* About once a second: drops the portions that were not used since the last call. */
void portions_shrink(struct portions *portions);

/* The portion with this key in this form, or NULL. */
struct portion *portions_find(struct portions *portions, uint8_t form, struct slice key);

/* Adds an empty portion; copies key. Afterwards all take at most `bytes`, the new one excepted. */
struct portion *portions_add(
    struct portions *portions, uint8_t form, struct slice key, size_t bytes);

/* Adds the next message: its frame, or NULL if the form cannot carry it. */
void portion_add(
    struct portions *portions, struct portion *portion, const struct frame *frame, uint32_t tag);

/* Queues all messages; those that the form cannot carry are missed. */
void portion_push(const struct portion *portion, struct outbox *outbox);

#endif
