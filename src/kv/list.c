#include "config.h"

#include "kv/list.h"

#include <assert.h>

#include "kv/list_chunk.h"
#include "kv/memory.h"

/* The limit in bytes if list-max-listpack-size limits the number of values, and the bytes of a
 * listpack's header. */
#define SAFE_BYTES 8192
#define HEADER_BYTES 7

/* Up to this many chunks are freed at once. */
#define CUT_AT_ONCE 16

#define SIZE_MIN (-5)
#define SIZE_MAX_ENTRIES 32767

struct kv_list {
	struct list_chunk *first, *last;
	size_t count;
	int16_t size;
	bool is_quick; /* the encoding is quicklist */
};

struct kv_list *
kv_list_new(int32_t size)
{
	struct kv_list *list = kv_calloc(1, sizeof(*list));

	if (size == 0)
		size = 1;
	if (size < SIZE_MIN)
		size = SIZE_MIN;
	list->size = (int16_t)(size > SIZE_MAX_ENTRIES ? SIZE_MAX_ENTRIES : size);
	return list;
}

/*
 * Takes the chunk that was probably allocated last first: malloc returns memory to the system from
 * the end of the heap, so that this happens in steps too, and not all at once with the last chunk.
 */
static struct list_chunk *
take_chunk(struct kv_list *list)
{
	struct list_chunk *chunk = list->last;

	if ((uintptr_t)list->first > (uintptr_t)list->last) {
		chunk = list->first;
		list->first = chunk->next;
	} else if (chunk == list->first) {
		list->first = list->last = NULL;
	} else {
		list->last = chunk->prev;
	}
	return chunk;
}

bool
kv_list_free_some(void *value, size_t *budget)
{
	struct kv_list *list = value;

	while (list->first != NULL) {
		struct list_chunk *chunk;

		if (*budget == 0)
			return false;
		chunk = take_chunk(list);
		*budget -= chunk->count < *budget ? chunk->count : *budget;
		kv_release(chunk);
	}
	kv_release(list);
	return true;
}

void
kv_list_free(struct kv_list *list)
{
	size_t all = SIZE_MAX;

	if (list != NULL)
		(void)kv_list_free_some(list, &all);
}

size_t
kv_list_count(const void *list)
{
	return ((const struct kv_list *)list)->count;
}

bool
kv_list_is_packed(const struct kv_list *list)
{
	return !list->is_quick;
}

size_t
kv_list_bytes(const struct kv_list *list)
{
	const struct list_chunk *chunk;
	size_t bytes = kv_block_bytes(list);

	for (chunk = list->first; chunk != NULL; chunk = chunk->next)
		bytes += kv_block_bytes(chunk);
	return bytes;
}

static size_t
max_bytes(const struct kv_list *list)
{
	return (list->size > 0 ? SAFE_BYTES : (size_t)2048 << -list->size) - HEADER_BYTES;
}

static size_t
max_count(const struct kv_list *list)
{
	return list->size > 0 ? (size_t)list->size : SIZE_MAX;
}

static bool
is_full(const struct kv_list *list, const struct list_chunk *chunk, struct slice value)
{
	return chunk->count >= max_count(list) ||
	       list_chunk_used(chunk) + list_entry_bytes(value.len) > max_bytes(list);
}

/* Called after the list has grown. */
static void
note_growth(struct kv_list *list)
{
	list->is_quick |=
	    list->first != list->last || list_chunk_used(list->first) > max_bytes(list);
}

static void
note_loss(struct kv_list *list)
{
	if (list->is_quick && list->first == list->last && list->first != NULL &&
	    list_chunk_used(list->first) + HEADER_BYTES <= (max_bytes(list) + HEADER_BYTES) / 2 &&
	    list->count <= max_count(list) / 2)
		list->is_quick = false;
}

/* Links the chunk with its neighbours; its address may have changed. */
static void
link_chunk(struct kv_list *list, struct list_chunk *chunk)
{
	if (chunk->prev != NULL)
		chunk->prev->next = chunk;
	else
		list->first = chunk;
	if (chunk->next != NULL)
		chunk->next->prev = chunk;
	else
		list->last = chunk;
}

static void
drop_chunk(struct kv_list *list, struct list_chunk *chunk)
{
	if (chunk->prev != NULL)
		chunk->prev->next = chunk->next;
	else
		list->first = chunk->next;
	if (chunk->next != NULL)
		chunk->next->prev = chunk->prev;
	else
		list->last = chunk->prev;
	kv_release(chunk);
}

/* Shrinks the chunk if much of it is unused. A chunk at an end of a longer list is left alone: its
 * room will soon be used, or it will be freed. */
static struct list_chunk *
shrink(struct kv_list *list, struct list_chunk *chunk, size_t *at)
{
	struct list_chunk *was = chunk;

	if ((chunk->prev == NULL) != (chunk->next == NULL))
		return chunk;
	chunk = list_chunk_shrink(chunk, at);
	if (chunk != was)
		link_chunk(list, chunk);
	return chunk;
}

void *
kv_list_copy(const void *value)
{
	const struct kv_list *from = value;
	struct kv_list *list = kv_malloc(sizeof(*list));
	const struct list_chunk *chunk;

	*list = *from;
	list->first = list->last = NULL;
	for (chunk = from->first; chunk != NULL; chunk = chunk->next) {
		struct list_chunk *copy = list_chunk_copy(chunk);

		copy->prev = list->last;
		link_chunk(list, copy);
	}
	return list;
}

/* A new empty chunk, for this value, between two neighbours; either may be NULL. */
static struct list_chunk *
add_chunk(
    struct kv_list *list, struct list_chunk *prev, struct list_chunk *next, struct slice value)
{
	struct list_chunk *chunk = list_chunk_new(value);

	chunk->prev = prev;
	chunk->next = next;
	link_chunk(list, chunk);
	return chunk;
}

static void
push_to(struct kv_list *list, struct list_chunk *chunk, bool at_head, struct slice value)
{
	struct list_chunk *now = list_chunk_push(chunk, at_head, value, max_bytes(list));

	if (now != chunk)
		link_chunk(list, now);
	list->count++;
	note_growth(list);
}

void
kv_list_push(struct kv_list *list, enum kv_list_end end, struct slice value)
{
	bool at_head = end == KV_LIST_HEAD;
	struct list_chunk *chunk = at_head ? list->first : list->last;

	if (chunk == NULL || is_full(list, chunk, value))
		chunk = add_chunk(list, at_head ? NULL : chunk, at_head ? chunk : NULL, value);
	push_to(list, chunk, at_head, value);
}

void
kv_list_pop(struct kv_list *list, enum kv_list_end end)
{
	struct list_chunk *chunk = end == KV_LIST_HEAD ? list->first : list->last;

	assert(chunk != NULL);
	if (chunk->count == 1) {
		drop_chunk(list, chunk);
	} else if (end == KV_LIST_HEAD) {
		(void)list_chunk_value(chunk, chunk->begin, &chunk->begin);
		chunk->count--;
		shrink(list, chunk, NULL);
	} else {
		chunk->end = list_chunk_prev_at(chunk, chunk->end);
		chunk->count--;
		shrink(list, chunk, NULL);
	}
	list->count--;
	note_loss(list);
}

static bool
stand_at(struct kv_list_place *place, struct list_chunk *chunk, size_t begin)
{
	place->chunk = chunk;
	if (chunk == NULL)
		return false;
	place->begin = begin;
	place->value = list_chunk_value(chunk, begin, &place->end);
	return true;
}

static bool
stand_before(struct kv_list_place *place, struct list_chunk *chunk, size_t end)
{
	return stand_at(place, chunk, chunk != NULL ? list_chunk_prev_at(chunk, end) : 0);
}

static bool
stand_at_head(struct kv_list_place *place, struct list_chunk *chunk)
{
	return stand_at(place, chunk, chunk != NULL ? chunk->begin : 0);
}

static bool
stand_at_tail(struct kv_list_place *place, struct list_chunk *chunk)
{
	return stand_before(place, chunk, chunk != NULL ? chunk->end : 0);
}

bool
kv_list_at_end(const struct kv_list *list, enum kv_list_end end, struct kv_list_place *place)
{
	return end == KV_LIST_HEAD ? stand_at_head(place, list->first)
				   : stand_at_tail(place, list->last);
}

bool
kv_list_step(struct kv_list_place *place, enum kv_list_end from)
{
	struct list_chunk *chunk = place->chunk;

	if (from == KV_LIST_HEAD)
		return place->end < chunk->end ? stand_at(place, chunk, place->end)
					       : stand_at_head(place, chunk->next);
	return place->begin > chunk->begin ? stand_before(place, chunk, place->begin)
					   : stand_at_tail(place, chunk->prev);
}

/* The offset of the entry with this index, from the nearer end of the chunk. */
static size_t
offset_of(const struct list_chunk *chunk, size_t index)
{
	size_t at;

	if (index < chunk->count / 2) {
		for (at = chunk->begin; index > 0; index--)
			(void)list_chunk_value(chunk, at, &at);
		return at;
	}
	at = chunk->end;
	for (index = chunk->count - index; index > 0; index--)
		at = list_chunk_prev_at(chunk, at);
	return at;
}

/* The chunk that contains the value with this index. *index is then counted within the chunk. */
static struct list_chunk *
chunk_of(const struct kv_list *list, size_t *index)
{
	struct list_chunk *chunk;
	size_t behind;

	if (*index < list->count / 2) {
		for (chunk = list->first; *index >= chunk->count; chunk = chunk->next)
			*index -= chunk->count;
		return chunk;
	}
	behind = list->count - 1 - *index;
	for (chunk = list->last; behind >= chunk->count; chunk = chunk->prev)
		behind -= chunk->count;
	*index = chunk->count - 1 - behind;
	return chunk;
}

bool
kv_list_at(const struct kv_list *list, size_t index, struct kv_list_place *place)
{
	struct list_chunk *chunk;

	if (index >= list->count)
		return stand_at(place, NULL, 0);
	chunk = chunk_of(list, &index);
	return stand_at(place, chunk, offset_of(chunk, index));
}

/* The number of entries of the chunk that begin at an offset or behind it. */
static size_t
count_from(const struct list_chunk *chunk, size_t at)
{
	size_t count = 0;

	while (at < chunk->end) {
		(void)list_chunk_value(chunk, at, &at);
		count++;
	}
	return count;
}

/* The chunk is full: the entries from an offset on, if they are some but not all, become a chunk of
 * their own. */
static void
insert_apart(struct kv_list *list, struct list_chunk *chunk, size_t at, struct slice value)
{
	struct list_chunk *rest;

	if (at == chunk->begin) {
		if (chunk->prev == NULL || is_full(list, chunk->prev, value))
			push_to(list, add_chunk(list, chunk->prev, chunk, value), true, value);
		else
			push_to(list, chunk->prev, false, value);
		return;
	}
	if (at < chunk->end) {
		rest = list_chunk_split(chunk, at, count_from(chunk, at));
		rest->prev = chunk;
		rest->next = chunk->next;
		link_chunk(list, rest);
		if (!is_full(list, chunk, value)) {
			push_to(list, chunk, false, value);
			return;
		}
	}
	if (chunk->next == NULL || is_full(list, chunk->next, value))
		push_to(list, add_chunk(list, chunk, chunk->next, value), false, value);
	else
		push_to(list, chunk->next, true, value);
}

static void
insert_at(struct kv_list *list, struct list_chunk *chunk, size_t at, struct slice value)
{
	struct list_chunk *now;

	if (is_full(list, chunk, value)) {
		insert_apart(list, chunk, at, value);
		return;
	}
	now = list_chunk_insert(chunk, &at, value, max_bytes(list));
	if (now != chunk)
		link_chunk(list, now);
	list->count++;
	note_growth(list);
}

void
kv_list_insert(
    struct kv_list *list, const struct kv_list_place *place, bool after, struct slice value)
{
	insert_at(list, place->chunk, after ? place->end : place->begin, value);
}

/* Replaces the only value of a chunk. */
static void
replace_chunk(struct kv_list *list, struct list_chunk *was, struct slice value)
{
	struct list_chunk *chunk =
	    list_chunk_push(list_chunk_new(value), false, value, max_bytes(list));

	chunk->prev = was->prev;
	chunk->next = was->next;
	link_chunk(list, chunk);
	kv_release(was);
	note_growth(list);
}

void
kv_list_set(struct kv_list *list, const struct kv_list_place *place, struct slice value)
{
	struct list_chunk *chunk = place->chunk;

	if (chunk->count == 1) {
		replace_chunk(list, chunk, value);
	} else {
		size_t at = list_chunk_remove(chunk, place->begin, place->end, 1);

		list->count--;
		insert_at(list, chunk, at, value);
	}
	note_loss(list);
}

bool
kv_list_remove(struct kv_list *list, struct kv_list_place *place, enum kv_list_end from)
{
	struct list_chunk *chunk = place->chunk;
	struct list_chunk *beside = from == KV_LIST_HEAD ? chunk->next : chunk->prev;
	size_t at = 0;

	list->count--;
	if (chunk->count == 1) {
		drop_chunk(list, chunk);
		chunk = NULL;
	} else {
		at = list_chunk_remove(chunk, place->begin, place->end, 1);
		chunk = shrink(list, chunk, &at);
	}
	note_loss(list);
	if (chunk != NULL && from == KV_LIST_HEAD && at < chunk->end)
		return stand_at(place, chunk, at);
	if (chunk != NULL && from == KV_LIST_TAIL && at > chunk->begin)
		return stand_before(place, chunk, at);
	return from == KV_LIST_HEAD ? stand_at_head(place, beside) : stand_at_tail(place, beside);
}

/* Detaches all chunks before `stays` (at the head) or behind it (at the tail), or all chunks if it
 * is NULL. */
static struct kv_list *
detach(struct kv_list *list, bool at_head, struct list_chunk *stays, size_t count)
{
	struct kv_list *rest = kv_list_new(list->size);

	rest->count = count;
	rest->first = at_head || stays == NULL ? list->first : stays->next;
	rest->last = !at_head || stays == NULL ? list->last : stays->prev;
	if (at_head || stays == NULL)
		list->first = stays;
	if (!at_head || stays == NULL)
		list->last = stays;
	if (stays != NULL && at_head)
		stays->prev = NULL;
	if (stays != NULL && !at_head)
		stays->next = NULL;
	rest->first->prev = NULL;
	rest->last->next = NULL;
	return rest;
}

struct kv_list *
kv_list_trim(struct kv_list *list, enum kv_list_end end, size_t count)
{
	bool at_head = end == KV_LIST_HEAD;
	struct list_chunk *chunk = at_head ? list->first : list->last;
	struct kv_list *rest = NULL;
	size_t left, whole = 0, at;

	if (count > list->count)
		count = list->count;
	for (left = count; left > 0 && chunk->count <= left; whole++) {
		left -= chunk->count;
		chunk = at_head ? chunk->next : chunk->prev;
	}
	list->count -= count;
	if (whole > 0)
		rest = detach(list, at_head, chunk, count - left);
	if (left > 0) {
		at = offset_of(chunk, at_head ? left : chunk->count - left);
		if (at_head)
			chunk->begin = at;
		else
			chunk->end = at;
		chunk->count -= left;
		shrink(list, chunk, NULL);
	}
	note_loss(list);
	if (whole > CUT_AT_ONCE)
		return rest;
	kv_list_free(rest);
	return NULL;
}
