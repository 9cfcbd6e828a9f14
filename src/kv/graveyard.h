#ifndef KV_GRAVEYARD_H
#define KV_GRAVEYARD_H

#include <stdbool.h>
#include <stddef.h>

#include "kv/keyspace.h"
#include "kv/table.h"

/*
 * Graveyard: what was removed and is too large to be freed at once: values, and whole tables of
 * keys with theirs. It is freed in steps of so many elements.
 */
struct kv_grave;

struct kv_graveyard {
	struct kv_grave *first;
	size_t waiting; /* values and keys that are not freed yet */
};

/* Takes value; at once where that is little work. */
void kv_bury_value(struct kv_graveyard *yard, enum kv_type type, void *value);

/* Takes all of the table, whose items are keys of the keyspace; it is empty then. */
void kv_bury_keys(struct kv_graveyard *yard, struct kv_table *table);

/* Frees about `budget` elements; true if there is more. */
bool kv_graveyard_tidy(struct kv_graveyard *yard, size_t budget);

#endif
