#ifndef PUBSUB_CHANNEL_TREE_H
#define PUBSUB_CHANNEL_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Channel tree: one tree over the bytes of names, for exact channels and for globs.
 *
 * A glob is a path whose edges may be wildcards. A channel's name is matched by walking the tree
 * with the set of states that still match. Each (state, position) is entered at most once, so the
 * cost grows with the length of the name and the number of matching paths, never with the number of
 * names in the tree. Adding and removing take O(length). A path ends at a topic: a channel or a
 * pattern, with its members. The tree does not know messages, and does not look into subscribers.
 */
struct channel_tree;
struct tree_node;
struct subscriber;
struct subscription;

struct topic_member {
	struct subscriber *subscriber;
	struct subscription *subscription;
};

/*
 * A channel or a pattern. Fields are for reading; the tree and topic_add/topic_remove write them.
 * It is kept small, because there may be a million channels: with a name of 20 bytes it takes 72
 * bytes.
 */
struct topic {
	struct tree_node *node;       /* the node that it belongs to */
	struct topic_member *members; /* count of them, in no order */
	struct topic_member one;      /* members points to it while cap is 1 */
	uint32_t count;
	uint32_t cap;
	uint32_t tag; /* used by the hub; 0 at first */
	union {
		uint32_t place; /* a pattern's index among the patterns of its node, which mean the
				   same */
		uint32_t ring;  /* used by the hub: of a channel, see hub_history.h; 0 at first */
	};
	uint16_t name_len;
	bool is_pattern : 1;
	uint8_t holds : 7; /* used by the hub: see hub_hold_channel */
	uint8_t class;     /* used by the hub: see channel_classes.h; 0 at first */
	char name[];
};

struct slice topic_name(const struct topic *topic); /* valid as long as the topic */

/* Adds a member; returns its index, which the subscription keeps. */
uint32_t topic_add(
    struct topic *topic, struct subscriber *subscriber, struct subscription *subscription);

/*
 * Removes the member at index; the last one takes its place. Returns the subscription that was
 * moved to `index`, or NULL if none was.
 */
struct subscription *topic_remove(struct topic *topic, uint32_t index)
    __attribute__((warn_unused_result));

struct channel_tree *channel_tree_new(void);       /* returns owned (channel_tree_free) */
void channel_tree_free(struct channel_tree *tree); /* with all topics */

/* NULL if there is none. A channel and a pattern of the same name are two topics. */
struct topic *channel_tree_find(struct channel_tree *tree, bool is_pattern, struct slice name);

/* Finds the topic, or makes one without members. name.len is at most 65535 (checked by
 * the caller). */
struct topic *channel_tree_add(struct channel_tree *tree, bool is_pattern, struct slice name);

/* Takes the topic, which has no members, out of the tree and frees it. */
void channel_tree_remove(struct channel_tree *tree, struct topic *topic);

/*
 * All topics that the channel matches: the channel itself first if it is in the tree, then
 * patterns, each once. The array is the tree's and valid until the next call of match or remove.
 */
struct topic **channel_tree_match(struct channel_tree *tree, struct slice channel, size_t *count);

size_t channel_tree_channels(const struct channel_tree *tree);
size_t channel_tree_patterns(const struct channel_tree *tree);
size_t channel_tree_bytes(
    const struct channel_tree *tree); /* estimate of the memory held, members included */

/* The work that channel_tree_match has done since the start: states entered, positions tried. */
uint64_t channel_tree_steps(const struct channel_tree *tree);

/*
 * The first channel (not pattern) whose name comes after `after` in the order of slice_compare, or
 * the first of all if after.ptr is NULL. NULL at the end. O(length). The tree may change between
 * two calls.
 */
struct topic *channel_tree_next(struct channel_tree *tree, struct slice after);

#endif
