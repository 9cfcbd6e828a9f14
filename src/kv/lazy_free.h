#ifndef KV_LAZY_FREE_H
#define KV_LAZY_FREE_H

#include <stdbool.h>
#include <stddef.h>

#include "kv/keyspace.h"
#include "kv/table.h"

/*
 * Lazy free: removed values, and whole tables of keys with their values, that are too large to be
 * freed at once. They are freed in steps of a given number of elements.
 */
struct kv_lazy_entry;

struct kv_lazy_list {
	struct kv_lazy_entry *first;
	size_t pending; /* values and keys not freed yet */
};

/* Takes value. A small value is freed at once, without an entry in the list. */
void kv_lazy_list_add_value(struct kv_lazy_list *list, enum kv_type type, void *value);

/* Takes all items of the table, which must be keys of the keyspace. The table is empty afterwards.
 */
void kv_lazy_list_add_keys(struct kv_lazy_list *list, struct kv_table *table);

/* Frees about `budget` elements. True if more is left to free. */
bool kv_lazy_list_free_some(struct kv_lazy_list *list, size_t budget);

#endif
