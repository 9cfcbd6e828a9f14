#ifndef KV_LIMITS_H
#define KV_LIMITS_H

#include <stdint.h>

/*
 * Limits of the packed encoding of a collection, which is small and is searched from its start, and
 * of the blocks of others.
 * They may change at any time: a value keeps its encoding until it grows beyond them.
 */
struct kv_limits {
	uint32_t zset_entries, zset_value_bytes;
	uint32_t hash_entries, hash_value_bytes; /* of a field or a value */
	uint32_t set_intset_entries;
	uint32_t set_entries, set_value_bytes;
	int32_t list_size; /* as list-max-listpack-size: entries of a node, or -1 .. -5 for 4 to 64
			      KiB */
	uint64_t stream_node_bytes, stream_node_entries; /* of a node; 0: no limit */
};

#endif
