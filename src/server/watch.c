#include "config.h"

#include "server/watch.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash_map.h"
#include "kv/keyspace.h"
#include "server/core.h"
#include "server/key_id.h"
#include "server/server_config.h"

struct watch {
	struct watched_key *key;
	uint64_t changes;      /* changes of the key when it was watched */
	uint64_t replacements; /* replacements of its database at that time */
	bool existed;          /* whether it existed at that time */
};

static struct slice
id_of(const struct watched_key *key)
{
	return (struct slice){key->id, key->id_len};
}

static struct slice
name_of(const struct watched_key *key)
{
	return key_id_name(id_of(key));
}

static uint32_t
db_of(const struct watched_key *key)
{
	return key_id_db(id_of(key));
}

static struct watched_key *
get_or_add(struct server *server, struct slice id)
{
	struct watched_key *key = hash_map_get(server->watched, id);

	if (key != NULL)
		return key;
	key = xcalloc(1, sizeof(*key) + id.len);
	key->id_len = (uint32_t)id.len;
	memcpy(key->id, id.ptr, id.len);
	hash_map_set(server->watched, id, key);
	return key;
}

/* A key that is watched already keeps its first record. */
bool
watch_add(
    struct server *server, struct client_watch *own, uint32_t db, struct slice name, bool exists)
{
	struct watched_key *key;
	struct watch *watch;
	struct key_id id;
	struct slice pointer = {(const char *)&key, sizeof(key)};

	key = hash_map_get(server->watched, key_id_init(&id, db, name));
	if (key != NULL && own->keys != NULL && hash_map_get(own->keys, pointer) != NULL) {
		key_id_release(&id);
		return true;
	}
	if (own->count >= server->config->watched_keys) {
		key_id_release(&id);
		return false;
	}
	key = get_or_add(server, (struct slice){id.ptr, id.len});
	key_id_release(&id);
	key->watchers++;
	watch = xmalloc(sizeof(*watch));
	*watch = (struct watch){
	    key, key->changes, kv_db_replacements(kv_database(server->kv, db)), exists};
	if (own->keys == NULL)
		own->keys = hash_map_new();
	hash_map_set(own->keys, pointer, watch);
	own->count++;
	return true;
}

static void
drop(struct slice pointer, void *value, void *arg)
{
	struct server *server = arg;
	struct watch *watch = value;
	struct watched_key *key = watch->key;

	(void)pointer;
	if (--key->watchers == 0) {
		hash_map_remove(server->watched, id_of(key));
		xfree(key);
	}
	xfree(watch);
}

void
watch_clear(struct server *server, struct client_watch *own)
{
	if (own->keys == NULL)
		return;
	hash_map_each(own->keys, drop, server);
	hash_map_free(own->keys);
	*own = (struct client_watch){0};
}

void
watch_touched(struct server *server, const struct kv_db *db, struct slice name)
{
	struct watched_key *key;
	struct key_id id;

	if (hash_map_count(server->watched) == 0)
		return;
	key = hash_map_get(server->watched, key_id_init(&id, kv_db_index(db), name));
	key_id_release(&id);
	if (key != NULL)
		key->changes++;
}

struct look {
	struct kv *kv;
	int64_t now_ms;
	bool found;
};

static bool
was_replaced(struct kv *kv, const struct watch *watch)
{
	return kv_db_replacements(kv_database(kv, db_of(watch->key))) != watch->replacements;
}

/* True if the key was changed, or if it existed and its database was emptied or swapped since. */
static bool
was_touched(struct kv *kv, const struct watch *watch)
{
	return watch->changes != watch->key->changes || (watch->existed && was_replaced(kv, watch));
}

static void
look_for_touch(struct slice pointer, void *value, void *arg)
{
	struct look *look = arg;

	(void)pointer;
	look->found = look->found || was_touched(look->kv, value);
}

bool
watch_was_touched(const struct server *server, const struct client_watch *own)
{
	struct look look = {.kv = server->kv};

	if (own->keys != NULL)
		hash_map_each(own->keys, look_for_touch, &look);
	return look.found;
}

static bool
exists(const struct look *look, const struct watched_key *watched)
{
	const struct kv_db *db = kv_database(look->kv, db_of(watched));
	const struct kv_key *key = kv_find(db, name_of(watched));

	return key != NULL && !kv_is_due(db, key, look->now_ms);
}

/* A key that did not exist, exists now and has no counted change came with a swapped database. */
static void
look_for_difference(struct slice pointer, void *value, void *arg)
{
	struct look *look = arg;
	const struct watch *watch = value;

	(void)pointer;
	if (look->found)
		return;
	if (watch->existed)
		look->found = was_touched(look->kv, watch) || !exists(look, watch->key);
	else
		look->found = was_touched(look->kv, watch) ||
			      (was_replaced(look->kv, watch) && exists(look, watch->key));
}

bool
watch_is_broken(const struct server *server, const struct client_watch *own, int64_t now_ms)
{
	struct look look = {.kv = server->kv, .now_ms = now_ms};

	if (own->keys != NULL)
		hash_map_each(own->keys, look_for_difference, &look);
	return look.found;
}
