#ifndef KV_INTSET_H
#define KV_INTSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Integer set: a sorted array of distinct integers in one block, each as wide as the widest of them
 * asks for: 2, 4 or 8 bytes. Adding and removing move what follows, so its owner keeps it short.
 */
struct kv_intset {
	uint32_t count;
	uint32_t width; /* it only grows */
	int64_t data[]; /* of count * width bytes: read through kv_intset_get */
};

struct kv_intset *kv_intset_new(void); /* returns owned (kv_release) */
struct kv_intset *kv_intset_copy(const struct kv_intset *set);

/* Number `index`, from the smallest on; index is below count. */
int64_t kv_intset_get(const struct kv_intset *set, size_t index);

/* Where v is; if it isn't there, where it would be: false. index may be NULL. */
bool kv_intset_find(const struct kv_intset *set, int64_t v, size_t *index);

/* v is not there; index is what kv_intset_find said. Returns where the block is now. */
struct kv_intset *kv_intset_insert(struct kv_intset *set, size_t index, int64_t v);
struct kv_intset *kv_intset_remove(struct kv_intset *set, size_t index);

#endif
