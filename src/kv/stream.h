#ifndef KV_STREAM_H
#define KV_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/id_tree.h"
#include "kv/limits.h"
#include "kv/stream_id.h"
#include "kv/stream_node.h"

/*
 * Stream: entries of named fields in the order of their ids, packed in nodes of some KB, which are
 * in an index by id; and its consumer groups (kv/stream_group.h). Appending takes constant time, an
 * entry is found in one step for each level of the index.
 *
 * Unlike other collections it may be empty. It reads no clock: ids are arguments. Entries and
 * slices that it returns are borrowed until the stream changes.
 */
struct kv_stream;
struct stream_group;
struct stream_groups;

/* The names and values of an entry together may not be longer. */
#define KV_STREAM_ENTRY_MAX ((size_t)1 << 30)

struct kv_stream *kv_stream_new(void); /* returns owned (kv_stream_free) */
void kv_stream_free(struct kv_stream *stream);

/* See struct kv_type_ops; a unit is an entry, or a pending entry of a group. */
bool kv_stream_free_some(void *stream, size_t *budget);
size_t kv_stream_units(const void *stream);
void *kv_stream_copy(const void *stream);
size_t kv_stream_bytes(const struct kv_stream *stream); /* of all its blocks */

/* What a stream knows of its past. */
struct stream_past {
	struct stream_id last_id;    /* the highest id that it ever had, or was set to */
	struct stream_id deleted_id; /* the highest id that was removed by kv_stream_remove */
	uint64_t added;              /* entries ever added; at most INT64_MAX */
};

uint64_t kv_stream_length(const struct kv_stream *stream);
size_t kv_stream_node_count(const struct kv_stream *stream);
struct stream_past kv_stream_past(const struct kv_stream *stream);
void kv_stream_set_past(struct kv_stream *stream, const struct stream_past *past);

/* The id is behind past.last_id. The fields are at least one, and within KV_STREAM_ENTRY_MAX. */
void kv_stream_append(struct kv_stream *stream, struct stream_id id,
    const struct stream_fields *fields, const struct kv_limits *limits);

/* False: there is no such entry. */
bool kv_stream_remove(struct kv_stream *stream, struct stream_id id);

/*
 * Removes entries from the start: those above `keep` entries, or with an id below `from`. Returns
 * how many. Whole nodes only, and at most `most` entries (0: no limit), if is_rough.
 */
struct stream_trim {
	enum { STREAM_TRIM_NOT, STREAM_TRIM_LENGTH, STREAM_TRIM_ID } by;
	uint64_t keep;
	struct stream_id from;
	bool is_rough;
	uint64_t most;
};

uint64_t kv_stream_trim(struct kv_stream *stream, const struct stream_trim *trim);

/* A place between two entries. Valid until the stream changes. */
struct stream_cursor {
	struct id_cursor nodes;
	const struct stream_node *node; /* NULL: there is no entry */
	struct stream_id base;
	size_t at; /* offset of the entry behind it */
};

/* Sets the cursor before the entry with this id, or (after) behind it; without such an entry, to
 * the place where it would be. */
void kv_stream_seek(
    const struct kv_stream *stream, struct stream_id id, bool after, struct stream_cursor *c);

/* The entry that the cursor steps over; false at the end. */
bool stream_cursor_next(struct stream_cursor *c, struct stream_entry *entry);
bool stream_cursor_prev(struct stream_cursor *c, struct stream_entry *entry);

bool kv_stream_find(
    const struct kv_stream *stream, struct stream_id id, struct stream_entry *entry);

/* The id of the first or the last entry; 0-0 if the stream is empty. */
struct stream_id kv_stream_first_id(const struct kv_stream *stream);
struct stream_id kv_stream_top_id(const struct kv_stream *stream);

/*
 * The number of entries that were ever added up to an id, if that can be known: what was removed in
 * between cannot be counted.
 */
bool kv_stream_count_upto(const struct kv_stream *stream, struct stream_id id, uint64_t *count);

/* True if an entry was removed from the middle of the stream at this id or behind it, as far as the
 * stream knows. */
bool kv_stream_has_gap_from(const struct kv_stream *stream, struct stream_id id);

struct stream_groups *kv_stream_groups(const struct kv_stream *stream);

/* Removes the group and returns a stream that has only this group, to be freed in steps
 * (kv_free_value). */
struct kv_stream *kv_stream_take_group(struct kv_stream *stream, struct stream_group *group);

/* For tests: true if all invariants hold. */
bool kv_stream_is_sound(const struct kv_stream *stream);

#endif
