#ifndef KV_INTSET_H
#define KV_INTSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Integer set: a sorted array of distinct integers in one block. All have the width that the
 * largest of them needs: 2, 4 or 8 bytes. Adding and removing one moves all integers behind it, so
 * the owner keeps the set short.
 */
struct kv_intset {
	uint32_t count;
	uint32_t width; /* it only grows */
	int64_t data[]; /* of count * width bytes: read through kv_intset_get */
};

struct kv_intset *kv_intset_new(void); /* returns owned (kv_release) */
struct kv_intset *kv_intset_copy(const struct kv_intset *set);

/* The integer with this index, counted from the smallest; index is below count. */
int64_t kv_intset_get(const struct kv_intset *set, size_t index);

/* True with the index of v, or false with the index where it would be inserted. index may be NULL.
 */
bool kv_intset_find(const struct kv_intset *set, int64_t v, size_t *index);

/* insert: v is not in the set. index is what kv_intset_find returned. Both may move the block and
 * return where it is now. */
struct kv_intset *kv_intset_insert(struct kv_intset *set, size_t index, int64_t v);
struct kv_intset *kv_intset_remove(struct kv_intset *set, size_t index);

#endif
