#include "config.h"

#include "kv/hash.h"
#include "kv/keyspace.h"
#include "kv/list.h"
#include "kv/set.h"
#include "kv/zset.h"

/* The types of values, one row each; of strings nothing but the name is asked. */
const struct kv_type_ops kv_types[KV_TYPES] = {
    [KV_STRING] = {.name = "string"},
    [KV_LIST] = {"list", kv_list_free_some, kv_list_count, kv_list_copy},
    [KV_SET] = {"set", kv_set_free_some, kv_set_count, kv_set_copy},
    [KV_ZSET] = {"zset", kv_zset_free_some, kv_zset_count, kv_zset_copy},
    [KV_HASH] = {"hash", kv_hash_free_some, kv_hash_count, kv_hash_copy},
};
