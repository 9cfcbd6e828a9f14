#include "config.h"

#include "server/keys.h"

#include "base/clock.h"
#include "resp/writer.h"
#include "server/evict.h"
#include "server/held.h"
#include "server/notify.h"
#include "server/state.h"

/* Keys that are due, and elements that are freed, between two looks at the clock. */
#define DUE_A_LOOK 32
#define FREED_A_LOOK 512

/* The wall clock may be set meanwhile: what is due later than that is looked for again by then. */
#define LOOK_AGAIN_US 1000000

/* Room that is kept for what the next command logs. */
#define LOG_KEEP_BYTES 65536

struct kv_db *
request_db(const struct request *rq)
{
	return kv_database(rq->server->kv, rq->client->db);
}

/* As settings.def bounds proto-max-bulk-len. */
#define STRING_MAX ((size_t)1 << 30)

size_t
request_max_string(const struct request *rq)
{
	return rq->server->replay != NULL ? STRING_MAX : rq->server->config->proto_max_bulk_bytes;
}

int64_t
request_now_ms(struct request *rq)
{
	if (rq->now_ms == 0)
		rq->now_ms = (int64_t)(clock_wall_us() / 1000);
	return rq->now_ms;
}

bool
key_is_over(struct request *rq, int64_t at_ms)
{
	return rq->server->replay == NULL && at_ms <= request_now_ms(rq);
}

static void
put_command(struct buffer *out, const struct slice *argv, size_t argc)
{
	size_t i;

	resp_put_array(out, argc);
	for (i = 0; i < argc; i++)
		resp_put_bulk(out, argv[i]);
}

/* A transaction may go through several databases. */
static void
log_select(struct server *server, uint32_t db)
{
	char digits[BYTES_I64_MAX];
	struct slice argv[] = {SLICE("SELECT"), {digits, bytes_from_i64(digits, db)}};

	put_command(&server->log, argv, 2);
	server->log_count++;
	server->log_at_db = db;
}

static void
log_command(struct server *server, uint32_t db, const struct slice *argv, size_t argc)
{
	if (server->log_count == 0)
		server->log_db = server->log_at_db = db;
	else if (server->log_at_db != db)
		log_select(server, db);
	put_command(&server->log, argv, argc);
	server->log_count++;
}

/*
 * A key goes because of its time or to make room: nobody asked for it. In a transaction that comes
 * behind what was done to the key before.
 */
static void
log_by_itself(struct server *server, uint32_t db, const struct slice *argv, size_t argc)
{
	struct buffer command = {0};

	if (server->log_count > 0) {
		log_command(server, db, argv, argc);
		return;
	}
	put_command(&command, argv, argc);
	journal_append(server, db, buffer_slice(&command), 1);
	buffer_release(&command);
}

static void
remove_by_itself(struct server *server, struct kv_db *db, struct kv_key *key)
{
	const struct slice argv[] = {SLICE("DEL"), kv_name(key)};

	if (server->journal.is_on)
		log_by_itself(server, kv_db_index(db), argv, 2);
	kv_remove(db, key);
}

static void
expire(struct server *server, struct kv_db *db, struct kv_key *key)
{
	server->counters.expired_keys++;
	notify(server, KEY_EXPIRED, "expired", db, kv_name(key));
	remove_by_itself(server, db, key);
}

/* While writes are paused a key that is due stays, and is not found. */
struct kv_key *
key_peek(struct request *rq, struct kv_db *db, struct slice name)
{
	struct kv_key *key = kv_find(db, name);

	if (key == NULL || kv_expiry(db, key) == KV_NEVER || !key_is_over(rq, kv_expiry(db, key)))
		return key;
	if (!server_is_paused(rq->server, rq->now_us) || (rq->command->flags & CMD_WRITE) != 0)
		expire(rq->server, db, key);
	return NULL;
}

/* Of a client that asked for CLIENT NO-TOUCH only TOUCH is a use. */
static void
note_use(struct request *rq, struct kv_key *key)
{
	if (!rq->client->no_touch || (rq->command->flags & CMD_TOUCH) != 0)
		evict_note_use(rq->server, key);
}

void
keys_evict(struct server *server, struct kv_db *db, struct kv_key *key)
{
	server->counters.evicted_keys++;
	notify(server, KEY_EVICTED, "evicted", db, kv_name(key));
	watch_touched(server, db, kv_name(key));
	remove_by_itself(server, db, key);
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
		rq->server->counters.key_hits++;
	} else {
		rq->server->counters.key_misses++;
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
	blocked_key_ready(rq->server, db, kv_name(key), kv_type_of(key));
	notify(rq->server, KEY_NEW, "new", db, kv_name(key));
}

struct kv_key *
key_put_string(struct request *rq, struct kv_key *old, struct slice name, struct slice value)
{
	struct kv_key *key = kv_put_string(request_db(rq), old, name, value);

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
	old = kv_put_value(request_db(rq), old, name, type, value);
	if (rq->client->no_touch)
		evict_note_value(rq->server, old);
	kv_set_expiry(request_db(rq), old, KV_NEVER);
}

void
key_changed(struct request *rq, struct slice name, enum key_class class, const char *event)
{
	key_changed_in(rq, request_db(rq), name, class, event);
}

void
key_changed_in(struct request *rq, struct kv_db *db, struct slice name, enum key_class class,
    const char *event)
{
	rq->changes++;
	watch_touched(rq->server, db, name);
	if (event != NULL)
		notify(rq->server, class, event, db, name);
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

/* The name goes with the key, unless it is an argument: it is said first. */
void
key_remove(struct request *rq, struct kv_key *key, const char *event)
{
	key_changed(rq, kv_name(key), KEY_GENERIC, event);
	kv_remove(request_db(rq), key);
}

void
request_log(struct request *rq, const struct slice *argv, size_t argc)
{
	rq->logged = true;
	if (!rq->server->journal.is_on)
		return;
	log_command(rq->server, rq->client->db, argv, argc);
}

void
keys_finish(struct request *rq)
{
	struct server *server = rq->server;

	server->journal.changes += rq->changes;
	if (!server->journal.is_on)
		return;
	if (!rq->logged)
		request_log(rq, rq->argv, rq->argc);
	if (!rq->in_transaction)
		keys_commit(server, rq->client);
}

/* The journal finds the database at their end as it was at their beginning. */
void
keys_commit(struct server *server, struct client *c)
{
	if (server->log_count == 0)
		return;
	/* A transaction may have switched the journal off. */
	if (server->journal.is_on) {
		if (server->log_at_db != server->log_db)
			log_select(server, server->log_db);
		journal_append(
		    server, server->log_db, buffer_slice(&server->log), server->log_count);
		held_note_change(c);
	}
	buffer_clear(&server->log);
	buffer_shrink(&server->log, LOG_KEEP_BYTES);
	server->log_count = 0;
}

/* True if more are due. */
static bool
expire_due(struct server *server, int64_t now_ms, uint64_t deadline_us)
{
	struct kv_db *db;
	struct kv_key *key;
	size_t n;

	for (n = 1; (key = kv_first_due(server->kv, now_ms, &db)) != NULL; n++) {
		expire(server, db, key);
		if (n % DUE_A_LOOK == 0 && clock_mono_us() >= deadline_us)
			return true;
	}
	return false;
}

uint64_t
keys_turn(struct server *server, uint64_t deadline_us)
{
	int64_t now_ms = (int64_t)(clock_wall_us() / 1000), next_ms;
	bool expires = !server->expires_on_access_only && !server_is_paused(server, server->now_us);
	bool more = expires && expire_due(server, now_ms, deadline_us);

	while (kv_lazy_free_some(server->kv, FREED_A_LOOK)) {
		if (clock_mono_us() >= deadline_us) {
			more = true;
			break;
		}
	}
	if (more)
		return 0;
	next_ms = expires ? kv_next_expiry(server->kv) : KV_NEVER;
	if (next_ms == KV_NEVER)
		return UINT64_MAX;
	if (next_ms <= now_ms)
		return 0;
	return next_ms - now_ms < LOOK_AGAIN_US / 1000 ? (uint64_t)(next_ms - now_ms) * 1000
						       : LOOK_AGAIN_US;
}
