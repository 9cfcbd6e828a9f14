#include "config.h"

#include "server/request_keys.h"

#include "kv/keyspace.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/command.h"
#include "server/evict.h"
#include "server/key_removal.h"
#include "server/notify.h"
#include "server/pause.h"
#include "server/request.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "server/tracking.h"
#include "server/watch.h"

/* The maximum of proto-max-bulk-len in settings.def. */
#define STRING_MAX ((size_t)1 << 30)

size_t
request_max_string(const struct request *rq)
{
	return rq->server->replay != NULL ? STRING_MAX : rq->server->config->proto_max_bulk_bytes;
}

bool
key_is_over(struct request *rq, int64_t at_ms)
{
	return rq->server->replay == NULL && at_ms <= request_now_ms(rq);
}

/* While writes are paused an expired key is kept, but not found. */
struct kv_key *
key_peek(struct request *rq, struct kv_db *db, struct slice name)
{
	struct kv_key *key = kv_find(db, name);

	if (key == NULL || kv_expiry(db, key) == KV_NEVER || !key_is_over(rq, kv_expiry(db, key)))
		return key;
	if (!server_is_paused(rq->server, rq->now_us) || (rq->command->flags & CMD_WRITE) != 0)
		key_expire(rq->server, db, key);
	return NULL;
}

/* For a client with CLIENT NO-TOUCH, only TOUCH counts as a use. */
static void
note_use(struct request *rq, struct kv_key *key)
{
	if (!rq->client->no_touch || (rq->command->flags & CMD_TOUCH) != 0)
		evict_note_use(rq->server, key);
}

struct kv_key *
key_write(struct request *rq, struct slice name)
{
	struct kv_key *key = key_peek(rq, request_db(rq), name);

	if (key != NULL)
		note_use(rq, key);
	return key;
}

struct kv_key *
key_look(struct request *rq, struct slice name)
{
	struct kv_key *key = key_peek(rq, request_db(rq), name);

	if (key != NULL) {
		rq->server->statistics->counters.key_hits++;
	} else {
		rq->server->statistics->counters.key_misses++;
		notify(rq->server, KEY_MISS, "keymiss", request_db(rq), name);
	}
	return key;
}

struct kv_key *
key_read(struct request *rq, struct slice name)
{
	struct kv_key *key = key_look(rq, name);

	if (key != NULL)
		note_use(rq, key);
	return key;
}

bool
key_is_of(struct request *rq, const struct kv_key *key, enum kv_type type)
{
	if (key == NULL || kv_type_of(key) == type)
		return true;
	request_error(rq, "WRONGTYPE Operation against a key holding the wrong kind of value");
	return false;
}

bool
key_read_value(struct request *rq, struct slice name, enum kv_type type, void **value)
{
	struct kv_key *key = key_read(rq, name);

	*value = NULL;
	if (!key_is_of(rq, key, type))
		return false;
	if (key != NULL)
		*value = kv_value(key);
	return true;
}

bool
key_write_value(
    struct request *rq, struct slice name, enum kv_type type, struct kv_key **key, void **value)
{
	*key = key_write(rq, name);
	*value = NULL;
	if (!key_is_of(rq, *key, type))
		return false;
	if (*key != NULL)
		*value = kv_value(*key);
	return true;
}

struct kv_key *
key_add(struct request *rq, struct slice name, enum kv_type type, void *value)
{
	struct kv_key *key = kv_add(request_db(rq), name, type, value);

	evict_note_new(rq->server, key);
	blocked_key_ready(rq->server, request_db(rq), name, type);
	notify(rq->server, KEY_NEW, "new", request_db(rq), name);
	return key;
}

void
key_announce_new(struct request *rq, struct kv_db *db, struct kv_key *key)
{
	watch_touched(rq->server, db, kv_name(key));
	tracking_changed(rq->server, rq->client, kv_name(key));
	blocked_key_ready(rq->server, db, kv_name(key), kv_type_of(key));
	notify(rq->server, KEY_NEW, "new", db, kv_name(key));
}

struct kv_key *
key_put_string(struct request *rq, struct kv_key *old, struct slice name, struct slice value)
{
	bool is_replaced = old != NULL && kv_type_of(old) != KV_STRING;
	struct kv_key *key = kv_put_string(request_db(rq), old, name, value);

	if (is_replaced)
		blocked_key_gone(rq->server, request_db(rq), name);
	if (old == NULL) {
		evict_note_new(rq->server, key);
		notify(rq->server, KEY_NEW, "new", request_db(rq), name);
	} else if (rq->client->no_touch) {
		evict_note_value(rq->server, key);
	}
	return key;
}

void
key_put_value(struct request *rq, struct slice name, enum kv_type type, void *value)
{
	struct kv_key *old = key_write(rq, name);

	if (old == NULL) {
		key_add(rq, name, type, value);
		return;
	}
	blocked_key_ready(rq->server, request_db(rq), name, type);
	blocked_key_gone(rq->server, request_db(rq), name);
	old = kv_put_value(request_db(rq), old, name, type, value);
	if (rq->client->no_touch)
		evict_note_value(rq->server, old);
	kv_set_expiry(request_db(rq), old, KV_NEVER);
}

static inline __attribute__((always_inline)) void
note_change(struct request *rq, const struct kv_db *db, struct slice name, enum key_class class,
    const char *event)
{
	rq->changes++;
	watch_touched(rq->server, db, name);
	tracking_changed(rq->server, rq->client, name);
	if (event != NULL)
		notify(rq->server, class, event, db, name);
}

void
key_changed(struct request *rq, struct slice name, enum key_class class, const char *event)
{
	note_change(rq, request_db(rq), name, class, event);
}

void
key_changed_in(struct request *rq, struct kv_db *db, struct slice name, enum key_class class,
    const char *event)
{
	note_change(rq, db, name, class, event);
}

void
keys_swap(struct request *rq, uint32_t a, uint32_t b)
{
	struct kv *kv = rq->server->kv;

	if (a != b) {
		kv_swap(kv, a, b);
		if (kv_db_count(kv_database(kv, a)) + kv_db_count(kv_database(kv, b)) > 0)
			blocked_look_again(rq->server);
	}
	rq->changes++;
}

/* The name may be freed with the key, so the event is published first. */
void
key_remove(struct request *rq, struct kv_key *key, const char *event)
{
	key_changed(rq, kv_name(key), KEY_GENERIC, event);
	blocked_key_gone(rq->server, request_db(rq), kv_name(key));
	kv_remove(request_db(rq), key);
}
