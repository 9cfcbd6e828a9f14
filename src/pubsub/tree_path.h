#ifndef PUBSUB_TREE_PATH_H
#define PUBSUB_TREE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/glob.h"
#include "pubsub/tree_node.h"

/*
 * The path of a pattern through the channel tree, step by step. For the channel tree's own files
 * only. Patterns that differ only in spelling have the same path: a run of `*` and `?` becomes as
 * many `?` and then one `*`, a class of all bytes becomes `?`, a class of one byte becomes that
 * byte.
 */
struct tree_path {
	struct slice rest;
	size_t any; /* `?` steps that are still to be returned */
	bool star;  /* whether a `*` step follows them */
	char *run;  /* owned: room for the longest run */
};

struct tree_step {
	enum tree_kind kind; /* TREE_LITERAL: the whole run; else one edge */
	struct slice run;    /* valid until the next step */
	uint64_t set[4];     /* TREE_CLASS */
};

void tree_path_init(struct tree_path *path, struct slice pattern); /* borrows pattern */
void tree_path_release(struct tree_path *path);
bool tree_path_next(struct tree_path *path, struct tree_step *step);

#endif
