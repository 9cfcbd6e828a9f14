#include "config.h"

#include "base/bytes.h"
#include "kv/key.h"
#include "kv/keyspace.h"
#include "kv/memory.h"
#include "kv/hash.h"
#include "kv/keyspace.h"
#include "kv/set.h"
#include "kv/zset.h"

/* The types of values, one row each; of strings nothing but the name is asked. */
const struct kv_type_ops kv_types[KV_TYPES] = {
    [KV_STRING] = {.name = "string"},
    [KV_SET] = {"set", kv_set_free_some, kv_set_count, kv_set_copy},
    [KV_ZSET] = {"zset", kv_zset_free_some, kv_zset_count, kv_zset_copy},
    [KV_HASH] = {"hash", kv_hash_free_some, kv_hash_count, kv_hash_copy},
};

size_t
kv_key_bytes(const struct kv_key *key)
{
	enum kv_type type = kv_type_of(key);
	size_t bytes = kv_block_bytes(key);

	if ((key->item.meta & KEY_EMBEDDED) != 0)
		return bytes;
	return bytes + (type == KV_STRING ? kv_block_bytes(key_pointer(key))
					  : kv_types[type].bytes(key_pointer(key)));
}

/* Longer ones Redis keeps apart from what it knows of them. */
#define EMBSTR_MAX 44

bool
kv_is_integer(const struct kv_key *key, int64_t *v)
{
	return kv_type_of(key) == KV_STRING && !kv_string_was_grown(key) &&
	       slice_to_i64(kv_string(key), v);
}

const char *
kv_form(const struct kv_key *key)
{
	int64_t v;

	if (kv_type_of(key) != KV_STRING)
		return kv_types[kv_type_of(key)].form(key_pointer(key));
	if (kv_is_integer(key, &v))
		return "int";
	return kv_string(key).len <= EMBSTR_MAX && !kv_string_was_grown(key) ? "embstr" : "raw";
}
