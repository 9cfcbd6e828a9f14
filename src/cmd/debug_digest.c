#include "config.h"

#include "cmd/debug.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

#include "base/hex.h"
#include "kv/hash.h"
#include "kv/keyspace.h"
#include "kv/list.h"
#include "kv/set.h"
#include "kv/stream.h"
#include "kv/zset.h"
#include "resp/writer.h"
#include "server/request.h"

/*
 * DEBUG DIGEST and DIGEST-VALUE. The digests are Redis's, so that the keys of the two can be
 * compared: what has an order is mixed in one after the other, what has none is combined by xor.
 */
struct digest {
	unsigned char bytes[SHA_DIGEST_LENGTH];
};

/* Combines with the hash of s: in any order the result is the same. */
static void
add(struct digest *d, struct slice s)
{
	unsigned char hash[SHA_DIGEST_LENGTH];

	SHA1((const unsigned char *)s.ptr, s.len, hash);
	for (size_t i = 0; i < sizeof(hash); i++)
		d->bytes[i] ^= hash[i];
}

/* The same, and the order of the calls counts. */
static void
mix(struct digest *d, struct slice s)
{
	struct digest sum = *d;

	add(&sum, s);
	SHA1(sum.bytes, sizeof(sum.bytes), d->bytes);
}

static void
mix_number(struct digest *d, uint32_t number)
{
	uint32_t bytes = htonl(number);

	mix(d, (struct slice){(const char *)&bytes, sizeof(bytes)});
}

static void
add_digest(struct digest *d, const struct digest *part)
{
	add(d, (struct slice){(const char *)part->bytes, sizeof(part->bytes)});
}

static void
add_pair(struct digest *d, struct slice a, struct slice b)
{
	struct digest pair = {0};

	mix(&pair, a);
	mix(&pair, b);
	add_digest(d, &pair);
}

static bool
add_member(struct slice member, void *d)
{
	add(d, member);
	return true;
}

static bool
add_field(struct slice field, struct slice value, void *d)
{
	add_pair(d, field, value);
	return true;
}

static void
mix_list(struct digest *d, const struct kv_list *list)
{
	struct kv_list_place place;
	bool more = kv_list_at_end(list, KV_LIST_HEAD, &place);

	for (; more; more = kv_list_step(&place, KV_LIST_HEAD))
		mix(d, place.value);
}

static void
add_zset(struct digest *d, const struct kv_zset *zset)
{
	struct kv_zset_cursor cursor;
	struct kv_zset_entry entry;
	char score[64];

	kv_zset_seek(zset, 0, &cursor);
	while (kv_zset_next(&cursor, &entry)) {
		snprintf(score, sizeof(score), "%.17g", entry.score);
		add_pair(d, entry.member, slice_of(score));
	}
}

/* The entries, in their order; groups do not count. */
static void
mix_stream(struct digest *d, const struct kv_stream *stream)
{
	const struct stream_id first = {0, 0};
	struct stream_cursor cursor;
	struct stream_entry entry;
	struct slice name, value;
	char id[64];

	kv_stream_seek(stream, first, false, &cursor);
	while (stream_cursor_next(&cursor, &entry)) {
		snprintf(id, sizeof(id), "%" PRIu64 ".%" PRIu64, entry.id.ms, entry.id.seq);
		mix(d, slice_of(id));
		for (size_t i = 0; i < entry.field_count; i++) {
			stream_entry_next(&entry, &name, &value);
			mix(d, name);
			mix(d, value);
		}
	}
}

/* The numbers of the types in Redis. */
static const uint32_t type_numbers[KV_TYPES] = {
    [KV_STRING] = 0, [KV_LIST] = 1, [KV_SET] = 2, [KV_ZSET] = 3, [KV_HASH] = 4, [KV_STREAM] = 6};

static void
mix_value(struct digest *d, const struct kv_db *db, const struct kv_key *key)
{
	enum kv_type type = kv_type_of(key);

	mix_number(d, type_numbers[type]);
	switch (type) {
	case KV_STRING:
		mix(d, kv_string(key));
		break;
	case KV_LIST:
		mix_list(d, kv_value(key));
		break;
	case KV_SET:
		(void)kv_set_each(kv_value(key), add_member, d);
		break;
	case KV_ZSET:
		add_zset(d, kv_value(key));
		break;
	case KV_HASH:
		kv_hash_each(kv_value(key), add_field, d);
		break;
	case KV_STREAM:
		mix_stream(d, kv_value(key));
		break;
	}
	if (kv_expiry(db, key) != KV_NEVER)
		add(d, SLICE("!!expire!!"));
}

struct walk {
	const struct kv_db *db;
	struct digest *total;
};

static bool
add_key(struct kv_key *key, void *arg)
{
	struct walk *walk = arg;
	struct digest d = {0};

	mix(&d, kv_name(key));
	mix_value(&d, walk->db, key);
	add_digest(walk->total, &d);
	return true;
}

static void
put_digest(struct request *rq, const struct digest *d)
{
	char text[2 * sizeof(d->bytes) + 1];

	hex_write(text, d->bytes, sizeof(d->bytes));
	text[sizeof(text) - 1] = '\0';
	resp_put_simple(rq->reply, text);
}

void
debug_digest(struct request *rq)
{
	struct kv *kv = rq->server->kv;
	struct digest total = {0};

	for (uint32_t i = 0; i < kv_databases(kv); i++) {
		struct walk walk = {kv_database(kv, i), &total};

		if (kv_db_count(walk.db) == 0)
			continue;
		mix_number(&total, i);
		kv_each(walk.db, add_key, &walk);
	}
	put_digest(rq, &total);
}

void
debug_digest_value(struct request *rq)
{
	const struct kv_db *db = request_db(rq);

	resp_put_array(rq->reply, rq->argc - 2);
	for (size_t i = 2; i < rq->argc; i++) {
		const struct kv_key *key = kv_find(db, rq->argv[i]);
		struct digest d = {0};

		if (key != NULL)
			mix_value(&d, db, key);
		put_digest(rq, &d);
	}
}
