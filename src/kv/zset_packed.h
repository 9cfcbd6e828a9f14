#ifndef KV_ZSET_PACKED_H
#define KV_ZSET_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/rank_tree.h"

/*
 * The packed encoding of a sorted set: the entries in one block, in the order of (score, member).
 * All functions except zset_packed_next and zset_packed_prev walk over the whole block, so its
 * owner keeps it small.
 *
 * An entry: the length of the member in one byte, the member, the score in 8 bytes, and the length
 * again, so that the block can be read backwards.
 */
#define ZSET_PACKED_VALUE_MAX 255
#define ZSET_PACKED_ENTRIES_MAX 1024

struct zset_packed {
	unsigned char *bytes; /* NULL: empty */
	uint32_t len;
	uint32_t count;
};

void zset_packed_release(struct zset_packed *p);

/* Where the entry of the member begins; NULL if there is no such member. */
const unsigned char *zset_packed_find(const struct zset_packed *p, struct slice member);

/* Where the entry with this rank begins; rank is at most count. */
const unsigned char *zset_packed_at(const struct zset_packed *p, size_t rank);

/* The number of entries before the bound. */
size_t zset_packed_count_before(const struct zset_packed *p, const struct rank_bound *bound);

/* The member is new, and has at most ZSET_PACKED_VALUE_MAX bytes. Copies. */
void zset_packed_add(struct zset_packed *p, struct slice member, double score);

/* Removes the `count` entries from `from` to `to`. Both point to the beginning of an entry, or to
 * the end. */
void zset_packed_remove(
    struct zset_packed *p, const unsigned char *from, const unsigned char *to, size_t count);

static inline struct slice
zset_packed_member(const unsigned char *at)
{
	return (struct slice){(const char *)at + 1, *at};
}

double zset_packed_score(const unsigned char *at);

/* The next entry, and the previous one, which the first entry does not have. */
static inline const unsigned char *
zset_packed_next(const unsigned char *at)
{
	return at + *at + 10;
}

static inline const unsigned char *
zset_packed_prev(const unsigned char *at)
{
	return at - at[-1] - 10;
}

#endif
