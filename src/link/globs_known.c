#include "config.h"

#include "link/globs_known.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "link/globs_frame.h"
#include "pubsub/channel_tree.h"

#define WORD_BITS 64
#define WORDS (GLOBS_NODES_MAX / WORD_BITS)

struct known_node {
	size_t id_len; /* 0: it is free */
	char id[GLOBS_ID_MAX];
	struct buffer globs;
	uint64_t lease_us;
	uint64_t until_us;
};

/* A glob of at least one node. The tag of its topic is its index, and 1. */
struct known_glob {
	uint64_t nodes[WORDS]; /* a bit each */
	size_t count;          /* of them; 0: it is free */
};

struct globs_known {
	struct known_node nodes[GLOBS_NODES_MAX];
	size_t count;
	struct channel_tree *tree;
	struct buffer globs; /* struct known_glob each */
	size_t free_from;    /* none before it is free */
};

struct globs_known *
globs_known_new(void)
{
	struct globs_known *known = xcalloc(1, sizeof(*known));

	known->tree = channel_tree_new();
	return known;
}

void
globs_known_free(struct globs_known *known)
{
	for (size_t i = 0; i < GLOBS_NODES_MAX; i++)
		buffer_release(&known->nodes[i].globs);
	channel_tree_free(known->tree);
	buffer_release(&known->globs);
	xfree(known);
}

static struct known_glob *
glob_at(const struct globs_known *known, size_t i)
{
	return (struct known_glob *)(void *)known->globs.ptr + i;
}

static struct known_glob *
glob_of(const struct globs_known *known, const struct topic *topic)
{
	return glob_at(known, topic->tag - 1);
}

static void
add_glob(struct globs_known *known, struct topic *topic)
{
	static const struct known_glob none;
	size_t count = known->globs.len / sizeof(none);

	while (known->free_from < count && glob_at(known, known->free_from)->count > 0)
		known->free_from++;
	if (known->free_from == count)
		buffer_append(&known->globs, &none, sizeof(none));
	topic->tag = (uint32_t)known->free_from + 1;
}

/* A set of a stranger may name a glob twice. */
static void
add_to(struct globs_known *known, struct slice name, size_t node)
{
	struct topic *topic = channel_tree_add(known->tree, true, name);
	uint64_t bit = (uint64_t)1 << node % WORD_BITS;
	struct known_glob *glob;

	if (topic->tag == 0)
		add_glob(known, topic);
	glob = glob_of(known, topic);
	glob->count += (glob->nodes[node / WORD_BITS] & bit) == 0;
	glob->nodes[node / WORD_BITS] |= bit;
}

static void
remove_from(struct globs_known *known, struct slice name, size_t node)
{
	struct topic *topic = channel_tree_find(known->tree, true, name);
	uint64_t bit = (uint64_t)1 << node % WORD_BITS;
	struct known_glob *glob;

	if (topic == NULL)
		return;
	glob = glob_of(known, topic);
	if ((glob->nodes[node / WORD_BITS] & bit) == 0)
		return;
	glob->nodes[node / WORD_BITS] &= ~bit;
	if (--glob->count > 0)
		return;
	if (topic->tag - 1 < known->free_from)
		known->free_from = topic->tag - 1;
	channel_tree_remove(known->tree, topic);
}

static void
each_of(struct globs_known *known, size_t node,
    void (*visit)(struct globs_known *known, struct slice name, size_t node))
{
	struct slice globs = buffer_slice(&known->nodes[node].globs), glob;

	while (globs_next(&globs, &glob))
		visit(known, glob, node);
}

static void
forget(struct globs_known *known, size_t node)
{
	each_of(known, node, remove_from);
	buffer_release(&known->nodes[node].globs);
	known->nodes[node].id_len = 0;
	known->count--;
}

/* The index of the node, or of a place for it; GLOBS_NODES_MAX: there is none. */
static size_t
place_of(const struct globs_known *known, struct slice id)
{
	size_t place = GLOBS_NODES_MAX;

	for (size_t i = 0; i < GLOBS_NODES_MAX; i++) {
		const struct known_node *node = &known->nodes[i];

		if (node->id_len == id.len && memcmp(node->id, id.ptr, id.len) == 0)
			return i;
		if (node->id_len == 0 && place == GLOBS_NODES_MAX)
			place = i;
	}
	return place;
}

bool
globs_known_set(struct globs_known *known, struct slice id, struct slice globs, size_t count,
    uint64_t lease_us, uint64_t now_us)
{
	size_t at = place_of(known, id);
	struct known_node *node;

	if (at == GLOBS_NODES_MAX)
		return count == 0;
	node = &known->nodes[at];
	if (count == 0) {
		if (node->id_len > 0)
			forget(known, at);
		return true;
	}
	if (node->id_len == 0) {
		memcpy(node->id, id.ptr, id.len);
		node->id_len = id.len;
		known->count++;
	}
	node->lease_us = lease_us;
	node->until_us = now_us + lease_us;
	if (slice_eq(buffer_slice(&node->globs), globs))
		return true;
	each_of(known, at, remove_from);
	buffer_clear(&node->globs);
	buffer_append_slice(&node->globs, globs);
	each_of(known, at, add_to);
	return true;
}

void
globs_known_renew(struct globs_known *known, uint64_t now_us)
{
	for (size_t i = 0; i < GLOBS_NODES_MAX; i++)
		if (known->nodes[i].id_len > 0)
			known->nodes[i].until_us = now_us + known->nodes[i].lease_us;
}

void
globs_known_expire(struct globs_known *known, uint64_t now_us)
{
	for (size_t i = 0; i < GLOBS_NODES_MAX; i++)
		if (known->nodes[i].id_len > 0 && known->nodes[i].until_us <= now_us)
			forget(known, i);
}

size_t
globs_known_nodes(const struct globs_known *known)
{
	return known->count;
}

size_t
globs_known_match(
    struct globs_known *known, struct slice channel, struct slice ids[GLOBS_NODES_MAX])
{
	uint64_t nodes[WORDS] = {0};
	struct topic **topics;
	size_t count, matched = 0;

	if (known->count == 0)
		return 0;
	topics = channel_tree_match(known->tree, channel, &count);
	for (size_t i = 0; i < count; i++)
		for (size_t word = 0; word < WORDS; word++)
			nodes[word] |= glob_of(known, topics[i])->nodes[word];
	for (size_t i = 0; i < GLOBS_NODES_MAX; i++)
		if ((nodes[i / WORD_BITS] >> i % WORD_BITS & 1) != 0)
			ids[matched++] = (struct slice){known->nodes[i].id, known->nodes[i].id_len};
	return matched;
}
