#ifndef LINK_SHARD_MARKS_H
#define LINK_SHARD_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Shard marks: marks (upstream.h) for clients that wait for the answers of several shards. A mark
 * has the number of a source, which is a shard or another one whose answers are counted, and is
 * reached when that source has come so far: sources do not wait for each other.
 *
 * The counts of a source may begin at 0 again; its marks go on then.
 */
#define SHARD_MARKS_SOURCES 1024
#define SHARD_MARKS_COUNT_BITS 48 /* of a mark; the source is above */

struct shard_mark_source {
	uint64_t before;  /* added to the counts */
	uint64_t reached; /* so far it has come, with `before` */
	uint64_t last;    /* the largest mark */
};

struct shard_marks {
	struct shard_mark_source sources[SHARD_MARKS_SOURCES];
	bool has_news; /* marks may have been reached; set to false by the caller */
};

/* Zero at first. source is less than SHARD_MARKS_SOURCES. */

/* Returns the mark that is reached when the source has come to this count, which is larger than
 * what it has come to. */
uint64_t shard_marks_add(struct shard_marks *marks, size_t source, uint64_t count);

/* The source has come so far. */
void shard_marks_update(struct shard_marks *marks, size_t source, uint64_t count);

/* All marks of the source until now are reached. */
void shard_marks_forget(struct shard_marks *marks, size_t source);

bool shard_marks_is_reached(const struct shard_marks *marks, uint64_t mark);

#endif
