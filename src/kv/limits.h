#ifndef KV_LIMITS_H
#define KV_LIMITS_H

#include <stdint.h>

/*
 * Up to where collections are packed in one block, as Redis's directives of these names say. A
 * collection takes note of them when something is added to it, so that they may change at any time;
 * one that has outgrown its packed form does not go back to it.
 */
struct kv_limits {
	uint32_t zset_entries, zset_value_bytes; /* zset-max-listpack-entries, -value */
	uint32_t hash_entries, hash_value_bytes; /* hash-max-listpack-entries, -value */
	uint32_t set_intset_entries;             /* set-max-intset-entries */
	uint32_t set_entries, set_value_bytes;   /* set-max-listpack-entries, -value */
	int32_t list_size;                       /* list-max-listpack-size */
};

#endif
