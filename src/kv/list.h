#ifndef KV_LIST_H
#define KV_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * List: values in order, packed in chunks of some KB, which are linked in both directions. Pushing
 * and popping at either end takes constant time; a value in the middle is found by walking over the
 * chunks from the nearer end.
 *
 * Invariant: no chunk is empty. Slices that it returns are borrowed until the list changes; slices
 * that it is given must not point into it.
 */
struct kv_list;
struct list_chunk;

enum kv_list_end { KV_LIST_HEAD, KV_LIST_TAIL };

/*
 * size is list-max-listpack-size, and does not change later: a positive number limits the values in
 * a chunk, and a chunk to 8 KiB; -1 to -5 limit a chunk to 4, 8, 16, 32 or 64 KiB. 0 counts as 1, a
 * number below -5 as -5, and one above 32767 as 32767. A value that is larger than a chunk has a
 * chunk of its own. Returns owned (kv_list_free).
 */
struct kv_list *kv_list_new(int32_t size);
void kv_list_free(struct kv_list *list); /* all at once */

/* See struct kv_type_ops; a unit is a value. */
bool kv_list_free_some(void *list, size_t *budget);
size_t kv_list_count(const void *list);
void *kv_list_copy(const void *list);

/* True if OBJECT ENCODING says listpack, false if quicklist. A quicklist becomes a listpack again
 * when it has shrunk to half a chunk. */
bool kv_list_is_packed(const struct kv_list *list);

size_t kv_list_bytes(const struct kv_list *list); /* of all its blocks */

void kv_list_push(struct kv_list *list, enum kv_list_end end, struct slice value); /* copies */
void kv_list_pop(struct kv_list *list, enum kv_list_end end); /* the list is not empty */

/*
 * The place of a value. It is valid until the list changes, except for the functions that take a
 * pointer to it and update it. begin and end of the value's entry are offsets in the chunk.
 */
struct kv_list_place {
	struct list_chunk *chunk; /* NULL: beyond an end */
	size_t begin, end;
	struct slice value; /* borrowed, from the list */
};

/* The place of the value with this index, counted from 0, or of the value at an end; false if there
 * is none. */
bool kv_list_at(const struct kv_list *list, size_t index, struct kv_list_place *place);
bool kv_list_at_end(const struct kv_list *list, enum kv_list_end end, struct kv_list_place *place);

/* Moves to the next value (from KV_LIST_HEAD) or to the previous one (from KV_LIST_TAIL); false
 * beyond the end. */
bool kv_list_step(struct kv_list_place *place, enum kv_list_end from);

/* Copies. The place is not valid afterwards. */
void kv_list_insert(
    struct kv_list *list, const struct kv_list_place *place, bool after, struct slice value);
void kv_list_set(struct kv_list *list, const struct kv_list_place *place, struct slice value);

/* Removes the value at the place. Then moves the place as kv_list_step does, and returns the same.
 */
bool kv_list_remove(struct kv_list *list, struct kv_list_place *place, enum kv_list_end from);

/*
 * Removes `count` values at one end, at most as many as there are. If too many values are removed
 * to free them at once, they are returned as a list, owned, which the caller frees in steps
 * (kv_free_value); else NULL.
 */
struct kv_list *kv_list_trim(struct kv_list *list, enum kv_list_end end, size_t count)
    __attribute__((warn_unused_result));

#endif
