#ifndef PUBSUB_TREE_MATCH_H
#define PUBSUB_TREE_MATCH_H

#include "pubsub/tree_node.h"

/*
 * The memory that channel_tree_match() keeps between walks: the result and a stack. For the channel
 * tree's own files only.
 */
void tree_match_release(struct channel_tree *tree);

/* Frees this memory if the tree has shrunk and needs far less. */
void tree_match_shrink(struct channel_tree *tree);

#endif
