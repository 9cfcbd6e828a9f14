#ifndef PUBSUB_TREE_SPELLINGS_H
#define PUBSUB_TREE_SPELLINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/tree_node.h"

/*
 * The patterns that end at one node of the channel tree: they mean the same and are spelled
 * differently, for example `a`, `\a` and `[a]`. For the channel tree's own files only.
 * tree_node.patterns points to the single pattern, or to a struct tree_spellings if bit 0 is set.
 * Finding, adding and removing a pattern take constant time, because a peer can spell one pattern
 * in a million ways.
 */
struct tree_spellings {
	uint32_t count;
	uint32_t room;
	struct topic *topics[];
};

static inline struct topic *const *
tree_patterns(const struct tree_node *node, size_t *count)
{
	if ((node->patterns & 1) != 0) {
		struct tree_spellings *s = (struct tree_spellings *)(node->patterns - 1);

		*count = s->count;
		return s->topics;
	}
	*count = node->patterns != 0;
	return (struct topic *const *)&node->patterns;
}

/* The pattern with this name, or NULL. */
struct topic *tree_spelling_find(
    const struct channel_tree *tree, const struct tree_node *node, struct slice name);

/* There must be no pattern with that name. Sets topic->node and topic->place. */
void tree_spelling_add(struct channel_tree *tree, struct tree_node *node, struct topic *topic);

/* Does not free the topic. */
void tree_spelling_remove(struct channel_tree *tree, struct topic *topic);

#endif
