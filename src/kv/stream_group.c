#include "config.h"

#include "kv/stream_group.h"

#include <assert.h>
#include <string.h>

#include "kv/memory.h"

/* The position of a name among sorted names, and whether it is there. */
struct position {
	size_t at;
	bool is_there;
};

static struct position
position_of(struct slice name, size_t count, struct slice (*name_at)(const void *of, size_t at),
    const void *of)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = slice_compare(name_at(of, middle), name);

		if (order == 0)
			return (struct position){middle, true};
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return (struct position){low, false};
}

static struct slice
group_name_at(const void *of, size_t at)
{
	return stream_group_name(((const struct stream_groups *)of)->at[at]);
}

static struct slice
consumer_name_at(const void *of, size_t at)
{
	return stream_consumer_name(((const struct stream_group *)of)->consumers[at]);
}

static struct position
group_position(const struct stream_groups *groups, struct slice name)
{
	return position_of(name, groups->count, group_name_at, groups);
}

static struct position
consumer_position(const struct stream_group *group, struct slice name)
{
	return position_of(name, group->consumer_count, consumer_name_at, group);
}

/* Makes room for one more pointer; pointers is NULL if there is none yet. */
static void *
grown(void *pointers, size_t count, size_t *room)
{
	if (count < *room)
		return pointers;
	*room = *room > 0 ? 2 * *room : 1;
	return pointers != NULL ? kv_realloc(pointers, *room * sizeof(void *))
				: kv_malloc(*room * sizeof(void *));
}

struct stream_group *
stream_groups_find(const struct stream_groups *groups, struct slice name)
{
	struct position position = group_position(groups, name);

	return position.is_there ? groups->at[position.at] : NULL;
}

void
stream_groups_give(struct stream_groups *groups, struct stream_group *group)
{
	struct position position = group_position(groups, stream_group_name(group));

	assert(!position.is_there);
	groups->at = grown(groups->at, groups->count, &groups->room);
	memmove(&groups->at[position.at + 1], &groups->at[position.at],
	    (groups->count - position.at) * sizeof(*groups->at));
	groups->at[position.at] = group;
	groups->count++;
}

struct stream_group *
stream_groups_add(
    struct stream_groups *groups, struct slice name, struct stream_id last_id, int64_t read)
{
	struct stream_group *group = kv_calloc(1, sizeof(*group) + name.len);

	group->last_id = last_id;
	group->entries_read = read;
	group->name_len = name.len;
	if (name.len > 0)
		memcpy(group->name, name.ptr, name.len);
	stream_groups_give(groups, group);
	return group;
}

void
stream_groups_take(struct stream_groups *groups, struct stream_group *group)
{
	struct position position = group_position(groups, stream_group_name(group));

	assert(position.is_there && groups->at[position.at] == group);
	groups->count--;
	memmove(&groups->at[position.at], &groups->at[position.at + 1],
	    (groups->count - position.at) * sizeof(*groups->at));
	if (groups->count == 0) {
		kv_release(groups->at);
		*groups = (struct stream_groups){0};
	}
}

static size_t
release_pending(void *value, void *arg)
{
	(void)arg;
	kv_release(value);
	return 1;
}

/* The pending entries of the group are freed before the trees of its consumers, which borrow them.
 */
static bool
free_some(struct stream_group *group, size_t *budget)
{
	if (!id_tree_drain(&group->pending, release_pending, NULL, budget))
		return false;
	for (; group->consumer_count > 0; group->consumer_count--) {
		struct stream_consumer *consumer = group->consumers[group->consumer_count - 1];

		if (*budget == 0 || !id_tree_drain(&consumer->pending, NULL, NULL, budget))
			return false;
		kv_release(consumer);
		*budget -= *budget > 0;
	}
	kv_release(group->consumers);
	kv_release(group);
	return true;
}

bool
stream_groups_free_some(struct stream_groups *groups, size_t *budget)
{
	for (; groups->count > 0; groups->count--) {
		if (*budget == 0 || !free_some(groups->at[groups->count - 1], budget))
			return false;
		*budget -= *budget > 0;
	}
	kv_release(groups->at);
	*groups = (struct stream_groups){0};
	return true;
}

static void
copy_consumers(const struct stream_group *from, struct stream_group *to)
{
	struct stream_consumer *consumer;
	const struct id_entry *entry;
	struct id_cursor c;

	for (size_t i = 0; i < from->consumer_count; i++) {
		const struct stream_consumer *was = from->consumers[i];

		consumer = stream_group_add_consumer(to, stream_consumer_name(was), was->seen_ms);
		consumer->active_ms = was->active_ms;
		id_tree_seek(&was->pending, STREAM_ID_MIN, false, &c);
		while ((entry = id_cursor_next(&c)) != NULL) {
			const struct stream_pending *pending = entry->value;
			struct stream_pending *copy = stream_group_assign(to, entry->id, consumer);

			copy->delivered_ms = pending->delivered_ms;
			copy->deliveries = pending->deliveries;
		}
	}
}

void
stream_groups_copy(const struct stream_groups *from, struct stream_groups *to)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct stream_group *group = from->at[i];

		copy_consumers(group, stream_groups_add(to, stream_group_name(group),
					  group->last_id, group->entries_read));
	}
}

size_t
stream_groups_units(const struct stream_groups *groups)
{
	size_t units = 0;

	for (size_t i = 0; i < groups->count; i++)
		units += 1 + groups->at[i]->pending.count + groups->at[i]->consumer_count;
	return units;
}

static size_t
group_bytes(const struct stream_group *group)
{
	size_t bytes = kv_block_bytes(group) + group->pending.bytes;

	if (group->consumers != NULL)
		bytes += kv_block_bytes(group->consumers);
	for (size_t i = 0; i < group->consumer_count; i++)
		bytes += kv_block_bytes(group->consumers[i]) + group->consumers[i]->pending.bytes;
	/* All blocks of pending entries have the same size. */
	if (group->pending.count > 0) {
		const struct id_entry *entry;
		struct id_cursor c;

		id_tree_seek(&group->pending, STREAM_ID_MIN, false, &c);
		entry = id_cursor_next(&c);
		assert(entry != NULL);
		bytes += group->pending.count * kv_block_bytes(entry->value);
	}
	return bytes;
}

size_t
stream_groups_bytes(const struct stream_groups *groups)
{
	size_t bytes = groups->at != NULL ? kv_block_bytes(groups->at) : 0;

	for (size_t i = 0; i < groups->count; i++)
		bytes += group_bytes(groups->at[i]);
	return bytes;
}

struct stream_consumer *
stream_group_consumer(const struct stream_group *group, struct slice name)
{
	struct position position = consumer_position(group, name);

	return position.is_there ? group->consumers[position.at] : NULL;
}

struct stream_consumer *
stream_group_add_consumer(struct stream_group *group, struct slice name, int64_t now_ms)
{
	struct position position = consumer_position(group, name);
	struct stream_consumer *consumer = kv_malloc(sizeof(*consumer) + name.len);

	assert(!position.is_there);
	consumer->seen_ms = now_ms;
	consumer->active_ms = -1;
	id_tree_init(&consumer->pending);
	consumer->name_len = name.len;
	if (name.len > 0)
		memcpy(consumer->name, name.ptr, name.len);
	group->consumers = grown(group->consumers, group->consumer_count, &group->consumer_room);
	memmove(&group->consumers[position.at + 1], &group->consumers[position.at],
	    (group->consumer_count - position.at) * sizeof(struct stream_consumer *));
	group->consumers[position.at] = consumer;
	group->consumer_count++;
	return consumer;
}

void
stream_group_remove_consumer(struct stream_group *group, struct stream_consumer *consumer)
{
	struct position position = consumer_position(group, stream_consumer_name(consumer));
	size_t all = SIZE_MAX;
	const struct id_entry *entry;
	struct id_cursor c;

	id_tree_seek(&consumer->pending, STREAM_ID_MIN, false, &c);
	while ((entry = id_cursor_next(&c)) != NULL)
		kv_release(id_tree_remove(&group->pending, entry->id));
	(void)id_tree_drain(&consumer->pending, NULL, NULL, &all);
	group->consumer_count--;
	memmove(&group->consumers[position.at], &group->consumers[position.at + 1],
	    (group->consumer_count - position.at) * sizeof(struct stream_consumer *));
	kv_release(consumer);
}

struct stream_pending *
stream_group_assign(
    struct stream_group *group, struct stream_id id, struct stream_consumer *consumer)
{
	struct stream_pending *pending = id_tree_find(&group->pending, id);

	if (pending == NULL) {
		pending = kv_calloc(1, sizeof(*pending));
		pending->deliveries = 1;
		id_tree_add(&group->pending, id, pending);
	} else if (pending->consumer != consumer) {
		(void)id_tree_remove(&pending->consumer->pending, id);
	} else {
		return pending;
	}
	pending->consumer = consumer;
	id_tree_add(&consumer->pending, id, pending);
	return pending;
}

bool
stream_group_acknowledge(struct stream_group *group, struct stream_id id)
{
	struct stream_pending *pending = id_tree_remove(&group->pending, id);

	if (pending == NULL)
		return false;
	(void)id_tree_remove(&pending->consumer->pending, id);
	kv_release(pending);
	return true;
}
