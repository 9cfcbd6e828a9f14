#ifndef PUBSUB_RECENT_RINGS_H
#define PUBSUB_RECENT_RINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "pubsub/ring.h"

/*
 * Recent rings: all rings in the order of newest_seq, so that those with a message behind a seq are
 * found without a look at the others: they are the last ones.
 *
 * A walk goes from the newest ring to the oldest, with pauses in which rings may come, move and go:
 * its place is kept by a mark in the list, a ring without a pool. It visits each ring at most once
 * that is not written to meanwhile. A ring that is written to moves to the end, behind the mark: a
 * later walk visits it.
 *
 * If rings were added that do not have the highest newest_seq, the order is that of the changes: a
 * walk can stop where the one before it began.
 */
TAILQ_HEAD(recent_rings, ring);

void recent_rings_init(struct recent_rings *rings);

/* Borrows the ring. It has the highest newest_seq, or recent_rings_sort() is called later. */
void recent_rings_add(struct recent_rings *rings, struct ring *ring);
void recent_rings_remove(struct recent_rings *rings, struct ring *ring);

/* The ring has the highest newest_seq now. */
void recent_rings_touch(struct recent_rings *rings, struct ring *ring);

/* The other ring takes the place of the ring, which is removed. */
void recent_rings_replace(struct recent_rings *rings, struct ring *ring, struct ring *other);

void recent_rings_sort(struct recent_rings *rings); /* there is no walk */

struct ring_walk {
	struct recent_rings *rings; /* NULL: it has not begun, or has ended */
	struct ring mark;
	const struct ring *end; /* a mark at which the walk ends, or NULL */
};

/* Begins at the newest ring; borrows rings. walk has ended. */
void ring_walk_begin(struct ring_walk *walk, struct recent_rings *rings);

/* The walk, which has just begun, ends where the earlier one began that took no step. */
void ring_walk_until(struct ring_walk *walk, const struct ring_walk *earlier);

/* Whether a ring was added or written to since the walk began, which took no step. */
bool ring_walk_is_behind(const struct ring_walk *walk);

/* The next older ring; NULL if there is none, or if *budget is used up by marks of other walks. A
 * ring and a mark take one of the budget, which is not 0. Borrows. */
struct ring *ring_walk_next(struct ring_walk *walk, size_t *budget);

void ring_walk_end(struct ring_walk *walk); /* also if it has ended */

#endif
