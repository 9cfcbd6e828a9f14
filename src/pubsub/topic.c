#include "config.h"

#include <assert.h>
#include <string.h>

#include "pubsub/channel_tree.h"
#include "pubsub/tree_node.h"

enum { FIRST_CAP = 4 }; /* of members in a block of their own */

static size_t
topic_bytes(size_t name_len)
{
	return offsetof(struct topic, name) + name_len;
}

/* The memory of the topic's tree, whose first member is the root node. */
static struct tree_memory *
memory_of(const struct topic *topic)
{
	struct tree_node *node = topic->node;

	while (node->parent != NULL)
		node = node->parent;
	return &((struct channel_tree *)node)->memory;
}

struct topic *
tree_topic_new(struct channel_tree *tree, bool is_pattern, struct slice name)
{
	struct topic *topic = tree_alloc(&tree->memory, topic_bytes(name.len));

	assert(name.len <= UINT16_MAX);
	topic->members = &topic->one;
	topic->cap = 1;
	topic->is_pattern = is_pattern;
	topic->name_len = (uint16_t)name.len;
	if (name.len > 0)
		memcpy(topic->name, name.ptr, name.len);
	return topic;
}

void
tree_topic_free(struct channel_tree *tree, struct topic *topic)
{
	if (topic->cap > 1)
		tree_release(
		    &tree->memory, topic->members, topic->cap * sizeof(struct topic_member));
	tree_release(&tree->memory, topic, topic_bytes(topic->name_len));
}

struct slice
topic_name(const struct topic *topic)
{
	return (struct slice){topic->name, topic->name_len};
}

/* memory_of() walks up to the root for the accounting; doubling and halving make that rare. */
static void
set_cap(struct topic *topic, uint32_t cap)
{
	struct tree_memory *memory = memory_of(topic);
	struct topic_member *old = topic->cap == 1 ? NULL : topic->members;
	size_t old_len = topic->cap * sizeof(*old);

	if (cap == 1) {
		topic->one = topic->members[0];
		topic->members = &topic->one;
		tree_release(memory, old, old_len);
	} else {
		topic->members = tree_resize(memory, old, old_len, cap * sizeof(*old));
		if (old == NULL)
			topic->members[0] = topic->one;
	}
	topic->cap = cap;
}

uint32_t
topic_add(struct topic *topic, struct subscriber *subscriber, struct subscription *subscription)
{
	assert(topic->count < UINT32_MAX / 2);
	if (topic->count == topic->cap)
		set_cap(topic, topic->cap == 1 ? FIRST_CAP : topic->cap * 2);
	topic->members[topic->count] = (struct topic_member){subscriber, subscription};
	return topic->count++;
}

struct subscription *
topic_remove(struct topic *topic, uint32_t index)
{
	assert(index < topic->count);
	struct topic_member last = topic->members[--topic->count];

	topic->members[index] = last;
	if (topic->cap > FIRST_CAP && topic->count <= topic->cap / 4)
		set_cap(topic, topic->cap / 2);
	else if (topic->cap == FIRST_CAP && topic->count <= 1)
		set_cap(topic, 1);
	return index == topic->count ? NULL : last.subscription;
}
