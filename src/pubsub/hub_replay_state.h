#ifndef PUBSUB_HUB_REPLAY_STATE_H
#define PUBSUB_HUB_REPLAY_STATE_H

#include "base/buffer.h"
#include "pubsub/cursor_portion.h"
#include "pubsub/portion.h"

struct hash_map;
struct hub;

/* The body of struct hub_replay, for the files hub_replay*.c only. */
struct hub_replay {
	struct hash_map *cursors; /* subscriber -> struct cursor */
	struct hash_map *topics;  /* channel -> struct cursor_topic */
	struct cursors due;
	LIST_HEAD(, cursor_topic) forgotten; /* their entries are to end */
	struct portions portions;
	const struct cursor *current; /* the cursor whose portion is being planned, or NULL */
	uint64_t replayed, overtaken, fell_behind;
	struct cursor_portion portion; /* for planning */
	struct buffer key;             /* for finding an encoded portion */
	uint64_t names;                /* patterns that were numbered in keys */
};

/* hub_replay.c: an event of the cursor's life. */
void hub_replay_move(struct hub *hub, struct cursor *cursor, enum cursor_event event);

/* hub_replay.c: nothing is left to be replayed: some subscriptions are live from now on. True: all
 * are, and the cursor is freed. */
bool hub_replay_end_readers(struct hub *hub, struct cursor *cursor);

/* hub_replay.c: messages of the subscription cannot be queued any more. */
void hub_replay_miss(struct subscription *subscription, uint32_t missed);

/* hub_replay.c: ends an entry whose ring is forgotten. */
void hub_replay_end_forgotten(struct hub *hub, struct cursor_entry *entry);

/* hub_replay.c: one slice of that. */
void hub_replay_forget_some(struct hub *hub);

#endif
