#include "config.h"

#include "pubsub/tree_spellings.h"

/*
 * The first SCAN_MAX places are compared one by one. A topic at a later place is in tree->crowded,
 * by name: names of patterns are unique in the tree, so one map serves all nodes.
 */
enum { SCAN_MAX = 8, FIRST_ROOM = 4 };

static size_t
room_bytes(uint32_t room)
{
	return sizeof(struct tree_spellings) + room * sizeof(struct topic *);
}

static struct tree_spellings *
resize(struct channel_tree *tree, struct tree_node *node, struct tree_spellings *s, uint32_t room)
{
	s = tree_resize(&tree->memory, s, s == NULL ? 0 : room_bytes(s->room), room_bytes(room));
	s->room = room;
	node->patterns = (uintptr_t)s + 1;
	return s;
}

static void
crowd_add(struct channel_tree *tree, struct topic *topic)
{
	if (tree->crowded == NULL)
		tree->crowded = tree_map_new(&tree->memory);
	tree_map_add(&tree->memory, tree->crowded, topic_name(topic), topic);
}

static void
crowd_remove(struct channel_tree *tree, struct topic *topic)
{
	tree_map_remove(&tree->memory, tree->crowded, topic_name(topic));
	if (hash_map_count(tree->crowded) > 0)
		return;
	tree_map_free(&tree->memory, tree->crowded);
	tree->crowded = NULL;
}

struct topic *
tree_spelling_find(const struct channel_tree *tree, const struct tree_node *node, struct slice name)
{
	size_t count;
	struct topic *const *topics = tree_patterns(node, &count);

	for (size_t i = 0; i < count && i < SCAN_MAX; i++)
		if (slice_eq(topic_name(topics[i]), name))
			return topics[i];
	return count > SCAN_MAX ? hash_map_get(tree->crowded, name) : NULL;
}

void
tree_spelling_add(struct channel_tree *tree, struct tree_node *node, struct topic *topic)
{
	size_t count;
	struct topic *const *topics = tree_patterns(node, &count);

	topic->node = node;
	topic->place = (uint32_t)count;
	if (count == 0) {
		node->patterns = (uintptr_t)topic;
		return;
	}
	struct tree_spellings *s;

	if (count == 1 && (node->patterns & 1) == 0) {
		struct topic *first = topics[0];

		s = resize(tree, node, NULL, FIRST_ROOM);
		s->topics[0] = first;
	} else {
		s = (struct tree_spellings *)(node->patterns - 1);
		if (s->count == s->room)
			s = resize(tree, node, s, s->room * 2);
	}
	s->topics[count] = topic;
	s->count = (uint32_t)count + 1;
	if (topic->place >= SCAN_MAX)
		crowd_add(tree, topic);
}

void
tree_spelling_remove(struct channel_tree *tree, struct topic *topic)
{
	struct tree_node *node = topic->node;

	if ((node->patterns & 1) == 0) {
		node->patterns = 0;
		return;
	}
	struct tree_spellings *s = (struct tree_spellings *)(node->patterns - 1);
	struct topic *moved = s->topics[--s->count];

	if (topic->place >= SCAN_MAX)
		crowd_remove(tree, topic);
	else if (moved->place >= SCAN_MAX)
		crowd_remove(tree, moved);
	s->topics[topic->place] = moved;
	moved->place = topic->place;
	if (s->count == 1) {
		node->patterns = (uintptr_t)s->topics[0];
		tree_release(&tree->memory, s, room_bytes(s->room));
	} else if (s->room > FIRST_ROOM && s->count <= s->room / 4) {
		resize(tree, node, s, s->room / 2);
	}
}
