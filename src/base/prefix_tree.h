#ifndef BASE_PREFIX_TREE_H
#define BASE_PREFIX_TREE_H

#include <stddef.h>

#include "base/bytes.h"

/*
 * Prefix tree: a set of names, each with a pointer, that answers which of its names a string begins
 * with. The string's bytes are walked once, so the cost grows with its length, never with the
 * number of names. A node has the bytes that lead to it from its parent; the names are not stored
 * otherwise, so the caller keeps them with its values if it needs them.
 *
 * Invariant: each node but the root has a value, or at least two children.
 */
struct prefix_tree;

struct prefix_tree *prefix_tree_new(void);       /* returns owned (prefix_tree_free) */
void prefix_tree_free(struct prefix_tree *tree); /* it has no names */

size_t prefix_tree_count(const struct prefix_tree *tree);

/* The value of this name; NULL: it is not in the tree. */
void *prefix_tree_get(const struct prefix_tree *tree, struct slice name);

/* Adds a name that is not in the tree. Copies name; borrows value, which is not NULL. */
void prefix_tree_add(struct prefix_tree *tree, struct slice name, void *value);

/* Removes a name that is in the tree; returns its value. */
void *prefix_tree_remove(struct prefix_tree *tree, struct slice name);

/* Visits each name that `whole` begins with, the shortest first. visit must not change the tree. */
void prefix_tree_each_prefix(const struct prefix_tree *tree, struct slice whole,
    void (*visit)(void *value, void *arg), void *arg);

/* The value of the shortest name that `whole` begins with; NULL: none. */
void *prefix_tree_shortest(const struct prefix_tree *tree, struct slice whole);

/* The value of the first name, in the order of bytes, that begins with `start`; NULL: none. */
void *prefix_tree_first(const struct prefix_tree *tree, struct slice start);

/* The value of the first name, in the order of bytes, behind `name`, which may not be in the tree.
 * NULL at the end. */
void *prefix_tree_next(const struct prefix_tree *tree, struct slice name);

#endif
