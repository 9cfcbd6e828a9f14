#ifndef PUBSUB_TREE_MATCH_H
#define PUBSUB_TREE_MATCH_H

#include "pubsub/tree_node.h"

/*
 * What channel_tree_match() keeps from walk to walk: the result and a stack. Inside of the channel
 * tree: for its own files only.
 */
void tree_match_release(struct channel_tree *tree);

/* Gives back what the tree, which has become smaller, can hardly need any more. */
void tree_match_shrink(struct channel_tree *tree);

#endif
