#ifndef BASE_BUCKETS_H
#define BASE_BUCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Buckets: the core of the hash tables (base/hash_map.h, kv/table.h): chains of nodes by hash,
 * resized by incremental rehash. It does not know the keys: its user compares them and supplies the
 * hash of a node.
 *
 * While a table is resized, the array `from` empties into `to`: each change moves at most
 * BUCKETS_STEP buckets. A table is resized when it is full (to twice the size) or seven eighths
 * empty (to a quarter), so that the move of n buckets, which takes n/BUCKETS_STEP changes, ends
 * before the next resize is due. A node is in `from` until its bucket there is moved. A node added
 * during the move follows the same rule: if a batch of new nodes went into `to` at once, one
 * command would allocate segments all over `to`.
 *
 * An array consists of segments, each allocated when first written and freed when moved: zeroing or
 * freeing an array of millions of buckets at once would block the loop as long as moving all of it.
 *
 * The functions are inline, and each user passes a constant struct buckets_ops, so that the
 * compiler turns its operations into direct calls.
 */
enum { BUCKETS_STEP = 4, BUCKETS_MIN = 4, BUCKETS_SEGMENT = 4096 };

/* Embedded in each entry, as its first member. */
struct bucket_node {
	struct bucket_node *next;
};

struct bucket_array {
	struct bucket_node ***segments; /* NULL if nothing was written to it yet */
	size_t count;                   /* of buckets: a power of two, or 0 */
};

/* A zeroed struct is an empty table. It holds no memory. */
struct buckets {
	struct bucket_array to, from; /* from: has no buckets unless a move is under way */
	size_t moved;                 /* buckets of `from` below this are empty; 0 without a move */
	size_t count;                 /* of nodes */
};

struct buckets_ops {
	uint64_t (*hash)(const struct bucket_node *node);
	void *(*calloc)(size_t count, size_t len); /* does not fail */
	void (*free)(void *ptr);
};

static inline size_t
bucket_segment_len(const struct bucket_array *a)
{
	return a->count < BUCKETS_SEGMENT ? a->count : BUCKETS_SEGMENT;
}

static inline size_t
bucket_segment_count(const struct bucket_array *a)
{
	return (a->count + BUCKETS_SEGMENT - 1) / BUCKETS_SEGMENT;
}

/* The head of chain i, or NULL if its segment does not exist. */
static inline struct bucket_node **
bucket_at(const struct bucket_array *a, size_t i)
{
	struct bucket_node **segment = a->segments[i / BUCKETS_SEGMENT];

	return segment != NULL ? &segment[i % BUCKETS_SEGMENT] : NULL;
}

/* The array that a node with this hash belongs to. */
static inline const struct bucket_array *
buckets_home(const struct buckets *b, uint64_t hash)
{
	return b->from.count > 0 && (hash & (b->from.count - 1)) >= b->moved ? &b->from : &b->to;
}

/* The head of the chain that a node with this hash would be in, or NULL. The table is not empty. */
static inline struct bucket_node **
buckets_chain(const struct buckets *b, uint64_t hash)
{
	const struct bucket_array *home = buckets_home(b, hash);

	return bucket_at(home, hash & (home->count - 1));
}

static inline void
bucket_put(const struct bucket_array *a, struct bucket_node *node, uint64_t hash,
    const struct buckets_ops *ops)
{
	size_t i = hash & (a->count - 1);
	struct bucket_node ***segment = &a->segments[i / BUCKETS_SEGMENT];

	if (*segment == NULL)
		*segment = ops->calloc(bucket_segment_len(a), sizeof(**segment));
	node->next = (*segment)[i % BUCKETS_SEGMENT];
	(*segment)[i % BUCKETS_SEGMENT] = node;
}

static inline void
bucket_move(struct buckets *b, size_t i, const struct buckets_ops *ops)
{
	struct bucket_node ***segment = &b->from.segments[i / BUCKETS_SEGMENT];
	struct bucket_node *node, *next;

	if (*segment == NULL)
		return;
	for (node = (*segment)[i % BUCKETS_SEGMENT]; node != NULL; node = next) {
		next = node->next;
		bucket_put(&b->to, node, ops->hash(node), ops);
	}
	(*segment)[i % BUCKETS_SEGMENT] = NULL;
	if ((i + 1) % bucket_segment_len(&b->from) == 0) {
		ops->free(*segment);
		*segment = NULL;
	}
}

/* Frees the array, not its nodes. */
static inline void
bucket_array_release(struct bucket_array *a, const struct buckets_ops *ops)
{
	for (size_t i = 0; i < bucket_segment_count(a); i++)
		ops->free(a->segments[i]);
	ops->free(a->segments);
	*a = (struct bucket_array){0};
}

/* Frees the memory of a table without nodes. */
static inline void
buckets_release(struct buckets *b, const struct buckets_ops *ops)
{
	bucket_array_release(&b->from, ops);
	bucket_array_release(&b->to, ops);
	b->moved = 0;
}

static inline void
buckets_begin_resize(struct buckets *b, size_t count, const struct buckets_ops *ops)
{
	b->from = b->to;
	b->moved = 0;
	b->to = (struct bucket_array){.count = count};
	b->to.segments = ops->calloc(bucket_segment_count(&b->to), sizeof(*b->to.segments));
}

/* Called before a node is added, and after one is removed. Moves some buckets, or starts
 * a resize. */
static inline void
buckets_keep_size(struct buckets *b, const struct buckets_ops *ops)
{
	size_t quarter = b->to.count / 4;

	if (b->from.count > 0) {
		for (int n = 0; n < BUCKETS_STEP && b->moved < b->from.count; n++)
			bucket_move(b, b->moved++, ops);
		if (b->moved == b->from.count) {
			bucket_array_release(&b->from, ops);
			b->moved = 0;
		}
	} else if (b->count >= b->to.count) {
		buckets_begin_resize(b, b->to.count > 0 ? b->to.count * 2 : BUCKETS_MIN, ops);
	} else if (b->to.count > BUCKETS_MIN && b->count < b->to.count / 8) {
		buckets_begin_resize(b, quarter > BUCKETS_MIN ? quarter : BUCKETS_MIN, ops);
	}
}

static inline void
buckets_add(
    struct buckets *b, struct bucket_node *node, uint64_t hash, const struct buckets_ops *ops)
{
	buckets_keep_size(b, ops);
	bucket_put(buckets_home(b, hash), node, hash, ops);
	b->count++;
}

/* Takes out the node that *link points to; the table keeps its size. */
static inline struct bucket_node *
buckets_unlink(struct buckets *b, struct bucket_node **link)
{
	struct bucket_node *node = *link;

	*link = node->next;
	b->count--;
	return node;
}

/* The buckets of both arrays, counted from the first bucket that is not moved: for walks over all
 * of them. */
static inline size_t
buckets_count(const struct buckets *b)
{
	return b->from.count - b->moved + b->to.count;
}

static inline struct bucket_node *
buckets_nth_chain(const struct buckets *b, size_t i)
{
	size_t left = b->from.count - b->moved;
	struct bucket_node **bucket =
	    i < left ? bucket_at(&b->from, b->moved + i) : bucket_at(&b->to, i - left);

	return bucket != NULL ? *bucket : NULL;
}

/* For buckets_drain: empties an array, starting at bucket *at. */
static inline bool
bucket_array_drain(struct bucket_array *a, size_t *at, struct buckets *b,
    const struct buckets_ops *ops, size_t (*release)(struct bucket_node *node, void *arg),
    void *arg, size_t *budget)
{
	struct bucket_node **bucket;

	while (*at < a->count) {
		bucket = bucket_at(a, *at);
		while (bucket != NULL && *bucket != NULL) {
			size_t cost;

			if (*budget == 0)
				return false;
			cost = release(buckets_unlink(b, bucket), arg);
			*budget -= cost < *budget ? cost : *budget;
		}
		if (++*at % bucket_segment_len(a) == 0) {
			ops->free(a->segments[(*at - 1) / BUCKETS_SEGMENT]);
			a->segments[(*at - 1) / BUCKETS_SEGMENT] = NULL;
		}
	}
	bucket_array_release(a, ops);
	*at = 0;
	return true;
}

/*
 * Removes nodes and passes each to release, which returns its cost (usually 1), until *budget is
 * used up (false) or the table is empty and holds no memory (true). After the first call the table
 * must not be used otherwise.
 */
static inline bool
buckets_drain(struct buckets *b, const struct buckets_ops *ops,
    size_t (*release)(struct bucket_node *node, void *arg), void *arg, size_t *budget)
{
	if (b->from.count > 0 &&
	    !bucket_array_drain(&b->from, &b->moved, b, ops, release, arg, budget))
		return false;
	return bucket_array_drain(&b->to, &b->moved, b, ops, release, arg, budget);
}

#endif
