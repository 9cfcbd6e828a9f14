#include "config.h"

#include "pubsub/tree_children.h"

#include <assert.h>
#include <string.h>

enum { KEYS = 256 };

/* The small ones fill blocks of malloc without waste. */
static const uint16_t rooms[] = {1, 3, 5, 7, 10, TREE_SCAN_MAX, 32, 64, 128, KEYS};

static size_t
room_bytes(size_t room)
{
	return sizeof(struct tree_children) + room * (sizeof(struct tree_edge) + 1) +
	       (room > TREE_SCAN_MAX ? KEYS : 0);
}

static size_t
room_rank(size_t room)
{
	size_t rank = 0;

	while (rooms[rank] < room)
		rank++;
	return rank;
}

static void
put(struct tree_children *children, unsigned char key, struct tree_edge edge)
{
	unsigned char *keys = tree_child_keys(children);

	assert(children->count < children->room);
	children->edges[children->count] = edge;
	keys[children->count] = key;
	if (children->room > TREE_SCAN_MAX)
		keys[children->room + key] = (unsigned char)children->count;
	children->count++;
}

static struct tree_children *
with_room(struct tree_memory *memory, struct tree_children *old, uint16_t room)
{
	struct tree_children *children = tree_alloc(memory, room_bytes(room));

	children->room = room;
	if (old == NULL)
		return children;
	for (unsigned int i = 0; i < old->count; i++)
		put(children, tree_child_keys(old)[i], old->edges[i]);
	tree_release(memory, old, room_bytes(old->room));
	return children;
}

void
tree_child_add(struct tree_memory *memory, struct tree_children **children, unsigned char key,
    struct tree_edge edge)
{
	if (*children == NULL)
		*children = with_room(memory, NULL, rooms[0]);
	else if ((*children)->count == (*children)->room)
		*children = with_room(memory, *children, rooms[room_rank((*children)->room) + 1]);
	put(*children, key, edge);
}

void
tree_child_remove(struct tree_memory *memory, struct tree_children **children, unsigned char key)
{
	struct tree_children *c = *children;
	unsigned char *keys = tree_child_keys(c);
	size_t place = (size_t)(tree_child_there(c, key) - c->edges);
	size_t last = --c->count;
	size_t rank = room_rank(c->room);

	c->edges[place] = c->edges[last];
	keys[place] = keys[last];
	if (c->room > TREE_SCAN_MAX)
		keys[c->room + keys[last]] = (unsigned char)place;
	if (c->count == 0) {
		tree_release(memory, c, room_bytes(c->room));
		*children = NULL;
	} else if (rank > 0 && c->count < rooms[rank - 1]) {
		*children = with_room(memory, c, rooms[rank - 1]);
	}
}

struct tree_edge *
tree_child_there(struct tree_children *children, unsigned char key)
{
	struct tree_edge *edge = tree_child(children, key);

	assert(edge != NULL);
	return edge;
}

struct tree_edge *
tree_child_next(struct tree_children *children, int *key)
{
	struct tree_edge *best = NULL;
	int best_key = KEYS;

	if (children == NULL)
		return NULL;
	unsigned char *keys = tree_child_keys(children);

	if (children->room > TREE_SCAN_MAX) {
		for (; *key < KEYS && best == NULL; ++*key)
			best = tree_child(children, (unsigned char)*key);
		--*key;
		return best;
	}
	for (unsigned int i = 0; i < children->count; i++) {
		if (keys[i] < *key || keys[i] >= best_key)
			continue;
		best_key = keys[i];
		best = &children->edges[i];
	}
	*key = best_key;
	return best;
}
