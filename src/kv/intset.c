#include "config.h"

#include "kv/intset.h"

#include <string.h>

#include "kv/memory.h"

struct kv_intset *
kv_intset_new(void)
{
	struct kv_intset *set = kv_malloc(sizeof(*set));

	set->count = 0;
	set->width = sizeof(int16_t);
	return set;
}

static size_t
used_bytes(const struct kv_intset *set)
{
	return sizeof(*set) + (size_t)set->count * set->width;
}

struct kv_intset *
kv_intset_copy(const struct kv_intset *set)
{
	struct kv_intset *copy = kv_malloc(used_bytes(set));

	memcpy(copy, set, used_bytes(set));
	return copy;
}

static uint32_t
width_of(int64_t v)
{
	if (v >= INT16_MIN && v <= INT16_MAX)
		return sizeof(int16_t);
	return v >= INT32_MIN && v <= INT32_MAX ? sizeof(int32_t) : sizeof(int64_t);
}

static unsigned char *
place(struct kv_intset *set, size_t index, uint32_t width)
{
	return (unsigned char *)set->data + index * width;
}

static int64_t
get(const struct kv_intset *set, size_t index, uint32_t width)
{
	const unsigned char *at = (const unsigned char *)set->data + index * width;
	int16_t narrow;
	int32_t middle;
	int64_t wide;

	switch (width) {
	case sizeof(int16_t):
		memcpy(&narrow, at, sizeof(narrow));
		return narrow;
	case sizeof(int32_t):
		memcpy(&middle, at, sizeof(middle));
		return middle;
	default:
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
}

/* Writes v, which fits into the set's width. */
static void
put(struct kv_intset *set, size_t index, int64_t v)
{
	int16_t narrow = (int16_t)v;
	int32_t middle = (int32_t)v;
	unsigned char *at = place(set, index, set->width);

	switch (set->width) {
	case sizeof(int16_t):
		memcpy(at, &narrow, sizeof(narrow));
		break;
	case sizeof(int32_t):
		memcpy(at, &middle, sizeof(middle));
		break;
	default:
		memcpy(at, &v, sizeof(v));
		break;
	}
}

int64_t
kv_intset_get(const struct kv_intset *set, size_t index)
{
	return get(set, index, set->width);
}

bool
kv_intset_find(const struct kv_intset *set, int64_t v, size_t *index)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (kv_intset_get(set, middle) < v)
			low = middle + 1;
		else
			high = middle;
	}
	if (index != NULL)
		*index = low;
	return low < set->count && kv_intset_get(set, low) == v;
}

/* Widens all integers; the block has room for one more already. Goes backwards, so that nothing is
 * overwritten before it is read. */
static void
widen(struct kv_intset *set, uint32_t width)
{
	uint32_t old = set->width;
	size_t i;

	set->width = width;
	for (i = set->count; i-- > 0;)
		put(set, i, get(set, i, old));
}

struct kv_intset *
kv_intset_insert(struct kv_intset *set, size_t index, int64_t v)
{
	uint32_t width = width_of(v) > set->width ? width_of(v) : set->width;
	size_t len = sizeof(*set) + ((size_t)set->count + 1) * width;

	if (kv_block_bytes(set) < len)
		set = kv_realloc(set, len);
	if (width != set->width)
		widen(set, width);
	memmove(place(set, index + 1, width), place(set, index, width),
	    (set->count - index) * (size_t)width);
	put(set, index, v);
	set->count++;
	return set;
}

struct kv_intset *
kv_intset_remove(struct kv_intset *set, size_t index)
{
	memmove(place(set, index, set->width), place(set, index + 1, set->width),
	    (set->count - index - 1) * (size_t)set->width);
	set->count--;
	/* More than half of the block is unused: shrink it. */
	if (kv_block_bytes(set) > 2 * used_bytes(set) + 64)
		set = kv_realloc(set, used_bytes(set));
	return set;
}
