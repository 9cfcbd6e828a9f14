#include "config.h"

#include "kv/keyspace.h"
#include "kv/zset.h"

/* The types of values, one row each; of strings nothing but the name is asked. */
const struct kv_type_ops kv_types[KV_TYPES] = {
    [KV_STRING] = {.name = "string"},
    [KV_ZSET] =
	{
	    .name = "zset",
	    .free_some = kv_zset_free_some,
	    .count = kv_zset_count,
	    .copy = kv_zset_copy,
	},
};
