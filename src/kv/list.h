#ifndef KV_LIST_H
#define KV_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * List: values in order, packed in chunks of some KB, which are linked in both directions. Pushing
 * and popping at either end takes constant time; what is in the middle is found by walking over the
 * chunks, from the nearer end.
 *
 * Invariant: no chunk is empty. Slices that it gives are borrowed until the list changes; those
 * that it is given must not lie in it.
 */
struct kv_list;
struct list_chunk;

enum kv_list_end { KV_LIST_HEAD, KV_LIST_TAIL };

/*
 * size is list-max-listpack-size, which the list keeps: at most so many values in a chunk, and no
 * more than 8 KiB; or -1 to -5: as many as fit into 4, 8, 16, 32, 64 KiB. Anything else counts as
 * the next that is allowed. A value that is larger has a chunk of its own. Returns owned
 * (kv_list_free).
 */
struct kv_list *kv_list_new(int32_t size);
void kv_list_free(struct kv_list *list); /* all at once */

/* As struct kv_type_ops says; a unit is a value. */
bool kv_list_free_some(void *list, size_t *budget);
size_t kv_list_count(const void *list);
void *kv_list_copy(const void *list);

/* OBJECT ENCODING: listpack, else quicklist. A list that grew past one chunk is packed again when
 * it has shrunk to half a chunk. */
bool kv_list_is_packed(const struct kv_list *list);

size_t kv_list_bytes(const struct kv_list *list); /* of all its blocks */

void kv_list_push(struct kv_list *list, enum kv_list_end end, struct slice value); /* copies */
void kv_list_pop(struct kv_list *list, enum kv_list_end end); /* it is not empty */

/*
 * A place: where a value stands. It stands until the list changes, but for the functions that take
 * a pointer to it, which say where it is then. begin and end of the value are offsets.
 */
struct kv_list_place {
	struct list_chunk *chunk; /* NULL: past an end */
	size_t begin, end;
	struct slice value; /* borrowed, from the list */
};

/* The value with this index, counted from 0; false if there is none. */
bool kv_list_at(const struct kv_list *list, size_t index, struct kv_list_place *place);
bool kv_list_at_end(const struct kv_list *list, enum kv_list_end end, struct kv_list_place *place);

/* The value after it, or before it (as from KV_LIST_HEAD, or from KV_LIST_TAIL); false past the
 * end. */
bool kv_list_step(struct kv_list_place *place, enum kv_list_end from);

/* Copies. The place is void. */
void kv_list_insert(
    struct kv_list *list, const struct kv_list_place *place, bool after, struct slice value);
void kv_list_set(struct kv_list *list, const struct kv_list_place *place, struct slice value);

/* Removes the value there; the place is then what kv_list_step would have made it, which it
 * returns likewise. */
bool kv_list_remove(struct kv_list *list, struct kv_list_place *place, enum kv_list_end from);

/* Removes so many values at one end, at most as many as there are. Returns owned, to be freed in
 * slices, what is too much to be freed at once; or NULL. */
struct kv_list *kv_list_trim(struct kv_list *list, enum kv_list_end end, size_t count)
    __attribute__((warn_unused_result));

#endif
