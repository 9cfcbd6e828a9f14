#include "config.h"

#include "base/bytes.h"
#include "kv/hash.h"
#include "kv/key.h"
#include "kv/keyspace.h"
#include "kv/list.h"
#include "kv/memory.h"
#include "kv/set.h"
#include "kv/stream.h"
#include "kv/zset.h"

static const char *
list_encoding(const void *list)
{
	return kv_list_is_packed(list) ? "listpack" : "quicklist";
}

static const char *
set_encoding(const void *set)
{
	switch (kv_set_encoding(set)) {
	case KV_SET_INTEGERS:
		return "intset";
	case KV_SET_PACKED:
		return "listpack";
	default:
		return "hashtable";
	}
}

static const char *
zset_encoding(const void *zset)
{
	return kv_zset_is_packed(zset) ? "listpack" : "skiplist";
}

static const char *
hash_encoding(const void *hash)
{
	return kv_hash_is_packed(hash) ? "listpack" : "hashtable";
}

static const char *
stream_encoding(const void *stream)
{
	(void)stream;
	return "stream";
}

static size_t
list_bytes(const void *list)
{
	return kv_list_bytes(list);
}

static size_t
set_bytes(const void *set)
{
	return kv_set_bytes(set);
}

static size_t
zset_bytes(const void *zset)
{
	return kv_zset_bytes(zset);
}

static size_t
hash_bytes(const void *hash)
{
	return kv_hash_bytes(hash);
}

static size_t
stream_bytes(const void *stream)
{
	return kv_stream_bytes(stream);
}

/* The types of values, one row each. Of strings, only the name is used. */
const struct kv_type_ops kv_types[KV_TYPES] = {
    [KV_STRING] = {.name = "string"},
    [KV_LIST] = {"list", kv_list_free_some, kv_list_count, kv_list_copy, list_encoding, list_bytes},
    [KV_SET] = {"set", kv_set_free_some, kv_set_count, kv_set_copy, set_encoding, set_bytes},
    [KV_ZSET] = {"zset", kv_zset_free_some, kv_zset_count, kv_zset_copy, zset_encoding, zset_bytes},
    [KV_HASH] = {"hash", kv_hash_free_some, kv_hash_count, kv_hash_copy, hash_encoding, hash_bytes},
    [KV_STREAM] = {"stream", kv_stream_free_some, kv_stream_units, kv_stream_copy, stream_encoding,
	stream_bytes},
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

/* Redis stores a longer string in a block of its own ("raw"). */
#define EMBSTR_MAX 44

bool
kv_is_integer(const struct kv_key *key, int64_t *v)
{
	return kv_type_of(key) == KV_STRING && !kv_string_was_grown(key) &&
	       slice_to_i64(kv_string(key), v);
}

const char *
kv_encoding(const struct kv_key *key)
{
	int64_t v;

	if (kv_type_of(key) != KV_STRING)
		return kv_types[kv_type_of(key)].encoding(key_pointer(key));
	if (kv_is_integer(key, &v))
		return "int";
	return kv_string(key).len <= EMBSTR_MAX && !kv_string_was_grown(key) ? "embstr" : "raw";
}
