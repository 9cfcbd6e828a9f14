#ifndef LINK_SHARD_MARKS_H
#define LINK_SHARD_MARKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * Shard marks: one row of marks (upstream.h) for clients that wait for the answers of several
 * shards. A mark is reached when those before it are, and what it stands for has happened: the
 * shard's interest has answered up to its own mark, or another source of counts has come so far.
 */
struct shard_marks {
	struct buffer marks; /* struct shard_mark each, from `at` on */
	size_t at;
	uint64_t reached; /* the number of the last one that was */
	uint64_t last;    /* ... that was made */
};

struct shard_mark {
	const void *source; /* NULL: it is gone */
	uint64_t count;
};

/* Zero at first. */
void shard_marks_release(struct shard_marks *marks);

/* Returns the number of the new mark. source is compared only. */
uint64_t shard_marks_add(struct shard_marks *marks, const void *source, uint64_t count);

/* What waits for the source is reached. */
void shard_marks_forget(struct shard_marks *marks, const void *source);

/* Moves `reached` on. count_of(): how far a source has come. */
void shard_marks_update(
    struct shard_marks *marks, uint64_t (*count_of)(void *arg, const void *source), void *arg);

#endif
