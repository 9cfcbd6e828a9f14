#ifndef PUBSUB_NEWEST_SEQS_H
#define PUBSUB_NEWEST_SEQS_H

#include <stdbool.h>
#include <stdint.h>

/* Newest seqs: of all seqs that were added, the highest ones, up to a number. A heap, the lowest
 * one first, whose memory grows as needed. Begins with {.most = n}. */
struct newest_seqs {
	uint64_t *heap; /* owned */
	uint32_t count;
	uint32_t room;
	uint32_t most; /* at least 1 */
};

/* False if the seq is not among the highest ones. Each seq is added once. */
bool newest_seqs_add(struct newest_seqs *newest, uint64_t seq);

/* All seqs up to it are not among the highest ones; 0 if there is room for more. */
uint64_t newest_seqs_floor(const struct newest_seqs *newest);

void newest_seqs_release(struct newest_seqs *newest);

#endif
