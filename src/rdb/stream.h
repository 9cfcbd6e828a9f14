#ifndef RDB_STREAM_VALUE_H
#define RDB_STREAM_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "rdb/event.h"
#include "rdb/packed.h"

/*
 * The value of a stream: nodes of entries in listpacks, figures, groups with their pending entries,
 * and consumers. Only rdb/value.c uses it. A group's pending entries are kept in memory while its
 * consumers are read, because their times are with the group: 32 bytes for each, and the file has
 * more for it.
 */
struct rdb_input;

enum rdb_stream_state {
	RDB_STREAM_NODES,
	RDB_STREAM_ENTRIES, /* in a node */
	RDB_STREAM_FIELDS,  /* in an entry */
	RDB_STREAM_GROUPS,
	RDB_STREAM_GROUP, /* behind its name */
	RDB_STREAM_CONSUMERS,
	RDB_STREAM_PENDING, /* of a consumer */
};

struct rdb_pending {
	struct rdb_id id;
	uint64_t time_ms, deliveries;
};

struct rdb_stream {
	enum rdb_stream_state state;
	unsigned int version; /* 1 to 3 */
	uint64_t left;        /* nodes, then groups */
	struct buffer text;   /* a name, or the packed node */
	uint64_t node_offset; /* of the node in the file */
	struct rdb_packed packed;
	struct rdb_element name, value;
	struct rdb_id node_id;       /* the entries' are relative to it */
	uint64_t node_fields;        /* names of fields at the beginning of the node */
	struct rdb_packed names;     /* at the first of them */
	struct rdb_packed name_at;   /* the next, for entries with the same fields */
	uint64_t entries;            /* that follow in the node, deleted ones included */
	uint64_t fields_left;        /* of the entry */
	bool has_node_fields;        /* the entry has the node's fields */
	struct rdb_pending *pending; /* owned; of the group, by id */
	size_t pending_count, pending_room;
	uint64_t consumers_left, consumer_pending_left;
};

enum rdb_stream_result { RDB_STREAM_EVENT, RDB_STREAM_DONE, RDB_STREAM_BAD };

bool rdb_stream_begin(struct rdb_stream *stream, struct rdb_input *in, unsigned int version)
    __attribute__((warn_unused_result));
enum rdb_stream_result rdb_stream_next(
    struct rdb_stream *stream, struct rdb_input *in, struct rdb_event *event);
void rdb_stream_release(struct rdb_stream *stream);

/* stream_groups.c: what follows the entries. */
bool rdb_stream_group(struct rdb_stream *stream, struct rdb_input *in, struct rdb_event *event)
    __attribute__((warn_unused_result));
bool rdb_stream_group_pending(struct rdb_stream *stream, struct rdb_input *in)
    __attribute__((warn_unused_result));
bool rdb_stream_consumer(struct rdb_stream *stream, struct rdb_input *in, struct rdb_event *event)
    __attribute__((warn_unused_result));
bool rdb_stream_pending(struct rdb_stream *stream, struct rdb_input *in, struct rdb_event *event)
    __attribute__((warn_unused_result));

/* An identifier of 16 bytes, the highest first. */
struct rdb_id rdb_id_of_bytes(const unsigned char bytes[16]);
bool rdb_id_lengths(struct rdb_input *in, struct rdb_id *id) __attribute__((warn_unused_result));

#endif
