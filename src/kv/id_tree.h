#ifndef KV_ID_TREE_H
#define KV_ID_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kv/stream_id.h"

/*
 * Id tree: pointers by id of a stream, in the order of ids. A B+-tree whose leaves are linked. It
 * borrows the pointers, which are not NULL.
 *
 * If it is filled in order, its leaves are full. A tree of one leaf takes only the room that its
 * entries need.
 */
struct id_entry {
	struct stream_id id;
	void *value;
};

struct id_tree {
	void *root;      /* NULL: empty */
	unsigned height; /* levels of inner nodes */
	size_t count;
	size_t bytes; /* of all nodes */
};

struct id_leaf;

/* A place between two entries. Valid until the tree changes. */
struct id_cursor {
	const struct id_leaf *leaf; /* NULL: the tree is empty */
	size_t at;                  /* number of the leaf's entries before it */
};

void id_tree_init(struct id_tree *t);

/* The id is not in the tree. */
void id_tree_add(struct id_tree *t, struct stream_id id, void *value);

/* Removes the entry and returns its value; NULL: the id is not in the tree. */
void *id_tree_remove(struct id_tree *t, struct stream_id id);

/* The value, or NULL. */
void *id_tree_find(const struct id_tree *t, struct stream_id id);

/* Replaces the value of an id that is in the tree. */
void id_tree_replace(struct id_tree *t, struct stream_id id, void *value);

/* Sets the cursor before the entry with this id, or (after) behind it; without such an entry, to
 * the place where it would be. */
void id_tree_seek(const struct id_tree *t, struct stream_id id, bool after, struct id_cursor *c);

/* The entry that the cursor steps over; NULL at the end. Borrows. */
const struct id_entry *id_cursor_next(struct id_cursor *c);
const struct id_entry *id_cursor_prev(struct id_cursor *c);

/*
 * Removes entries from the last to the first and passes each to release (NULL: none), which returns
 * the cost, usually 1, until *budget is used up (false) or the tree holds no memory (true). After
 * the first call the tree must not be used otherwise.
 */
bool id_tree_drain(
    struct id_tree *t, size_t (*release)(void *value, void *arg), void *arg, size_t *budget);

/* For tests: true if all invariants of the tree hold. */
bool id_tree_is_sound(const struct id_tree *t);

#endif
