#ifndef KV_STREAM_GROUP_H
#define KV_STREAM_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/id_tree.h"
#include "kv/stream_id.h"

/*
 * Consumer groups of a stream: how far a group has read, its consumers, and its pending entries,
 * which were delivered to a consumer and not acknowledged. A pending entry is in two trees by id,
 * that of its group and that of its consumer. It may outlive the entry itself.
 *
 * It reads no clock: times are ms of Unix time, given by the caller.
 */
struct stream_consumer;

struct stream_pending {
	int64_t delivered_ms;
	uint64_t deliveries; /* at most INT64_MAX, which a command can have as an argument */
	struct stream_consumer *consumer;
};

struct stream_consumer {
	int64_t seen_ms;        /* it last tried to read or to claim */
	int64_t active_ms;      /* it last got an entry; -1: never */
	struct id_tree pending; /* struct stream_pending, which the group's tree owns */
	size_t name_len;
	char name[];
};

/* entries_read of a group that does not know how many entries it has read. */
#define STREAM_READ_UNKNOWN (-1)

struct stream_group {
	struct stream_id last_id; /* the last entry that was delivered */
	int64_t entries_read;
	struct id_tree pending;             /* struct stream_pending, owned */
	struct stream_consumer **consumers; /* sorted by name, as bytes */
	size_t consumer_count, consumer_room;
	size_t name_len;
	char name[];
};

struct stream_groups {
	struct stream_group **at; /* sorted by name */
	size_t count, room;
};

static inline struct slice
stream_group_name(const struct stream_group *group)
{
	return (struct slice){group->name, group->name_len};
}

static inline struct slice
stream_consumer_name(const struct stream_consumer *consumer)
{
	return (struct slice){consumer->name, consumer->name_len};
}

/* NULL: there is none. Borrows. */
struct stream_group *stream_groups_find(const struct stream_groups *groups, struct slice name);

/* There is no group of this name. Copies. */
struct stream_group *stream_groups_add(
    struct stream_groups *groups, struct slice name, struct stream_id last_id, int64_t read);

/* Removes the group without freeing it. */
void stream_groups_take(struct stream_groups *groups, struct stream_group *group);

/* Takes the group, whose name is not there. */
void stream_groups_give(struct stream_groups *groups, struct stream_group *group);

/* Frees the groups in steps: a unit of *budget for each pending entry, consumer and group. True
 * when all are freed. */
bool stream_groups_free_some(struct stream_groups *groups, size_t *budget);

void stream_groups_copy(const struct stream_groups *from, struct stream_groups *to);
size_t stream_groups_units(const struct stream_groups *groups);
size_t stream_groups_bytes(const struct stream_groups *groups);

/* NULL: there is none. Borrows. */
struct stream_consumer *stream_group_consumer(const struct stream_group *group, struct slice name);

/* There is no consumer of this name. Copies. */
struct stream_consumer *stream_group_add_consumer(
    struct stream_group *group, struct slice name, int64_t now_ms);

/* Removes the consumer with its pending entries. */
void stream_group_remove_consumer(struct stream_group *group, struct stream_consumer *consumer);

/* Makes the entry pending for the consumer, and for no other one. Returns it with its deliveries as
 * they were, 1 for a new one, as in Redis. */
struct stream_pending *stream_group_assign(
    struct stream_group *group, struct stream_id id, struct stream_consumer *consumer);

static inline void
stream_pending_count_delivery(struct stream_pending *pending)
{
	if (pending->deliveries < INT64_MAX)
		pending->deliveries++;
}

/* The entry is not pending any more; false: it was not. */
bool stream_group_acknowledge(struct stream_group *group, struct stream_id id);

#endif
