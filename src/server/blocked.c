#include "config.h"

#include "server/blocked.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/float_text.h"
#include "base/hash_map.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/key_id.h"
#include "server/pause.h"
#include "server/propagation.h"
#include "server/request.h"
#include "server/wait.h"

/* The most timeouts answered in a turn. */
#define ENDED_A_TURN 1000

/* After a SWAPDB: the keys checked in a turn. */
#define LOOKED_AT_A_TURN 1000

TAILQ_HEAD(waiters, waiter);

/* One client that waits for one key. */
struct waiter {
	TAILQ_ENTRY(waiter) all; /* of the key, the longest waiting first */
	struct waited_key *key;  /* NULL: the key was named twice */
	struct block *block;
};

struct waited_key {
	TAILQ_ENTRY(waited_key) ready;
	TAILQ_ENTRY(waited_key) all;
	struct waiters waiters;
	bool is_ready;
	bool is_served; /* being served: it is kept even if no client waits for it any more */
	size_t id_len;
	char id[];
};

/* One blocked client. */
struct block {
	struct client *client; /* NULL: it is not blocked any more */
	const struct command *command;
	enum kv_type type;
	bool has_deadline;
	bool ends_without_key;
	uint32_t deadline_place; /* in the time queue */
	uint32_t rules_version;  /* limits_version when the client's rights were last checked */
	void *kept;              /* see struct block_ready */
	struct waiter *waiters;  /* one for each of the terms' names */
	size_t waiter_count;
	size_t argc;
	struct slice argv[]; /* the bytes follow it */
};

static void
note_deadline_place(void *block, uint32_t place)
{
	((struct block *)block)->deadline_place = place;
}

static const struct time_queue_ops deadline_ops = {
    .moved = note_deadline_place, .realloc = xrealloc, .free = xfree};

void
blocked_release(struct blocked *b)
{
	assert(hash_map_count(b->keys) == 0);
	hash_map_free(b->keys);
	time_queue_release(&b->deadlines);
	buffer_release(&b->reply);
}

bool
block_timeout_parse(struct request *rq, struct slice arg, uint64_t *until_us)
{
	long double seconds, ms;
	uint64_t us;

	*until_us = UINT64_MAX;
	if (rq->ready != NULL)
		return true;
	if (!float_text_parse(arg, &seconds)) {
		request_error(rq, "ERR timeout is not a float or out of range");
		return false;
	}
	/* As in Redis: in ms, rounded up, so that the timeout is never shorter than requested. */
	ms = seconds * 1000;
	if (ms > (long double)(INT64_MAX - request_now_ms(rq))) {
		request_error(rq, "ERR timeout is out of range");
		return false;
	}
	if (ms <= -1) {
		request_error(rq, "ERR timeout is negative");
		return false;
	}
	if (ms <= 0)
		return true;
	us = (uint64_t)ms;
	us += (long double)us < ms;
	if (!__builtin_mul_overflow(us, 1000, &us) && us < INT64_MAX - rq->now_us)
		*until_us = rq->now_us + us;
	return true;
}

bool
block_timeout_parse_ms(struct request *rq, struct slice arg, uint64_t *until_us)
{
	uint64_t us;
	int64_t ms;

	*until_us = UINT64_MAX;
	if (rq->ready != NULL)
		return true;
	if (!slice_to_i64(arg, &ms)) {
		request_error(rq, "ERR timeout is not an integer or out of range");
		return false;
	}
	if (ms < 0) {
		request_error(rq, "ERR timeout is negative");
		return false;
	}
	if (ms > INT64_MAX - request_now_ms(rq)) {
		request_error(rq, "ERR timeout is out of range");
		return false;
	}
	if (ms > 0 && !__builtin_mul_overflow((uint64_t)ms, 1000, &us) &&
	    us < INT64_MAX - rq->now_us)
		*until_us = rq->now_us + us;
	return true;
}

static struct block *
copy_request(const struct request *rq, size_t key_count)
{
	size_t len = sizeof(struct block) + rq->argc * sizeof(struct slice), i;
	struct block *block;
	char *at;

	for (i = 0; i < rq->argc; i++)
		len += rq->argv[i].len;
	block = xmalloc(len);
	*block = (struct block){.client = rq->client, .command = rq->command, .argc = rq->argc};
	block->waiters = xcalloc(key_count, sizeof(*block->waiters));
	block->waiter_count = key_count;
	at = (char *)&block->argv[rq->argc];
	for (i = 0; i < rq->argc; i++) {
		block->argv[i] = (struct slice){at, rq->argv[i].len};
		if (rq->argv[i].len > 0)
			memcpy(at, rq->argv[i].ptr, rq->argv[i].len);
		at += rq->argv[i].len;
	}
	return block;
}

static void
block_free(struct block *block)
{
	xfree(block->kept);
	xfree(block->waiters);
	xfree(block);
}

static struct waited_key *
get_or_add(struct blocked *b, uint32_t db, struct slice name)
{
	struct waited_key *key;
	struct key_id id;

	key = hash_map_get(b->keys, key_id_init(&id, db, name));
	if (key == NULL) {
		key = xcalloc(1, sizeof(*key) + id.len);
		TAILQ_INIT(&key->waiters);
		key->id_len = id.len;
		memcpy(key->id, id.ptr, id.len);
		hash_map_set(b->keys, (struct slice){id.ptr, id.len}, key);
		TAILQ_INSERT_TAIL(&b->all, key, all);
		b->look_left += b->look_left > 0;
	}
	key_id_release(&id);
	return key;
}

/* Waits for the key, unless it was named before: then this client is the last that waits for it. */
static void
wait_for(struct blocked *b, struct block *block, size_t i, struct slice name)
{
	struct waited_key *key = get_or_add(b, block->client->db, name);
	struct waiter *last = TAILQ_LAST(&key->waiters, waiters), *waiter = &block->waiters[i];

	waiter->block = block;
	if (last != NULL && last->block == block)
		return;
	waiter->key = key;
	TAILQ_INSERT_TAIL(&key->waiters, waiter, all);
}

enum command_result
request_block(struct request *rq, const struct block_terms *terms)
{
	struct blocked *b = rq->server->blocked;
	struct block *block;
	size_t i;

	if (rq->in_transaction) {
		if (terms->is_one)
			resp_put_null(rq->reply, rq->proto);
		else
			resp_put_null_array(rq->reply, rq->proto);
		return COMMAND_DONE;
	}
	/* XREADGROUP has created its consumer. */
	if (rq->changes > 0)
		propagation_finish(rq);
	if (rq->ready != NULL)
		return COMMAND_BLOCKED;
	block = copy_request(rq, terms->count);
	block->type = terms->type;
	block->ends_without_key = terms->ends_without_key;
	block->rules_version = rq->server->limits_version;
	if (terms->kept != NULL)
		block->kept = xmemdup(terms->kept, terms->kept_len);
	b->keyed += terms->ends_without_key;
	for (i = 0; i < terms->count; i++)
		wait_for(b, block, i, terms->names[i]);
	block->has_deadline = terms->until_us != UINT64_MAX;
	if (block->has_deadline)
		time_queue_add(&b->deadlines, block, (int64_t)terms->until_us);
	rq->client->pending->block = block;
	b->count++;
	(void)wait_begin(rq->client, WAIT_KEY);
	return COMMAND_BLOCKED;
}

static void
release_key(struct blocked *b, struct waited_key *key)
{
	if (!TAILQ_EMPTY(&key->waiters) || key->is_served)
		return;
	if (key->is_ready)
		TAILQ_REMOVE(&b->ready, key, ready);
	if (b->look_next == key)
		b->look_next = TAILQ_NEXT(key, all);
	TAILQ_REMOVE(&b->all, key, all);
	hash_map_remove(b->keys, (struct slice){key->id, key->id_len});
	xfree(key);
}

/* Removes the block from all queues. */
static void
unlink_block(struct blocked *b, struct block *block)
{
	size_t i;

	for (i = 0; i < block->waiter_count; i++) {
		struct waiter *waiter = &block->waiters[i];

		if (waiter->key == NULL)
			continue;
		if (b->next == waiter)
			b->next = TAILQ_NEXT(waiter, all);
		TAILQ_REMOVE(&waiter->key->waiters, waiter, all);
		release_key(b, waiter->key);
	}
	if (block->has_deadline)
		time_queue_remove(&b->deadlines, block->deadline_place);
	b->keyed -= block->ends_without_key;
	block->client->pending->block = NULL;
	block->client = NULL;
	b->count--;
}

/* Ends the wait without a reply. */
static void
forget(struct client *c)
{
	struct blocked *b = c->server->blocked;
	struct block *block = c->pending->block;

	if (block == NULL)
		return;
	unlink_block(b, block);
	if (block != b->running)
		block_free(block);
}

void
blocked_init(struct server *server)
{
	struct blocked *b = server->blocked;

	*b = (struct blocked){.keys = hash_map_new()};
	time_queue_init(&b->deadlines, &deadline_ops);
	TAILQ_INIT(&b->ready);
	TAILQ_INIT(&b->all);
	waits_set_hooks(server->waits, WAIT_KEY, (struct wait_hooks){.left = forget});
}

/* The client was answered. Its request counts as executed when io hands it over again. */
static void
finish(struct client *c)
{
	c->pending->job_ended = true;
	wait_event_of(c, WAIT_EVENT_KEY);
}

static void
make_ready(struct blocked *b, struct waited_key *key)
{
	if (key->is_ready)
		return;
	key->is_ready = true;
	TAILQ_INSERT_TAIL(&b->ready, key, ready);
}

void
blocked_key_ready(
    struct server *server, const struct kv_db *db, struct slice name, enum kv_type type)
{
	struct blocked *b = server->blocked;
	struct waited_key *key;
	struct key_id id;

	if (b->count == 0 || (type != KV_LIST && type != KV_ZSET && type != KV_STREAM))
		return;
	key = hash_map_get(b->keys, key_id_init(&id, kv_db_index(db), name));
	key_id_release(&id);
	if (key != NULL)
		make_ready(b, key);
}

void
blocked_key_gone(struct server *server, const struct kv_db *db, struct slice name)
{
	if (server->blocked->keyed > 0)
		blocked_key_ready(server, db, name, KV_STREAM);
}

static struct request
request_of(const struct block *block, const struct block_ready *ready)
{
	struct client *c = block->client;

	return (struct request){.server = c->server,
	    .client = c,
	    .command = block->command,
	    .argv = block->argv,
	    .argc = block->argc,
	    .reply = &c->server->blocked->reply,
	    .proto = c->proto,
	    .now_us = clock_mono_us(),
	    .ready = ready};
}

/*
 * Runs the handler for a client. Meanwhile the client may be closed, like any other blocked client.
 */
static void
serve_client(struct blocked *b, const struct waiter *waiter, struct slice name)
{
	struct block *block = waiter->block;
	uint32_t rules_version = block->client->server->limits_version;
	struct block_ready ready = {.name = name,
	    .at = (size_t)(waiter - block->waiters),
	    .kept = block->kept,
	    .is_allowed = block->rules_version == rules_version};
	struct request rq = request_of(block, &ready);
	bool is_done;

	block->rules_version = rules_version;
	b->running = block;
	is_done = b->execute(&rq);
	b->running = NULL;
	if (block->client == NULL)
		block_free(block);
	else if (is_done)
		finish(block->client);
}

static bool
is_there(struct server *server, const struct waited_key *key, enum kv_type *type)
{
	struct slice id = {key->id, key->id_len};
	const struct kv_db *db = kv_database(server->kv, key_id_db(id));
	const struct kv_key *found = kv_find(db, key_id_name(id));

	if (found != NULL)
		*type = kv_type_of(found);
	return found != NULL;
}

/* Serves all clients that wait for the key now, while there is a value, and those that do not wait
 * without it. */
static void
serve_key(struct server *server, struct waited_key *key)
{
	struct blocked *b = server->blocked;
	struct slice name = key_id_name((struct slice){key->id, key->id_len});
	struct waiter *waiter;
	enum kv_type type;

	key->is_served = true;
	b->next = TAILQ_FIRST(&key->waiters);
	while ((waiter = b->next) != NULL) {
		bool exists = is_there(server, key, &type);

		if (!exists && b->keyed == 0)
			break;
		b->next = TAILQ_NEXT(waiter, all);
		if ((exists && waiter->block->type == type) || waiter->block->ends_without_key)
			serve_client(b, waiter, name);
	}
	b->next = NULL;
	key->is_served = false;
	release_key(b, key);
}

void
blocked_serve(struct server *server)
{
	struct blocked *b = server->blocked;
	struct waited_key *key;

	/* Half a script would be seen, and logged. */
	if (b->serving || server->pause->by_script != NULL)
		return;
	b->serving = true;
	while ((key = TAILQ_FIRST(&b->ready)) != NULL) {
		TAILQ_REMOVE(&b->ready, key, ready);
		key->is_ready = false;
		serve_key(server, key);
	}
	b->serving = false;
}

/*
 * Checks the next keys after a SWAPDB, and makes ready those that exist, or all if clients must
 * hear of those that do not; serve_key() checks whether they have the type that the clients wait
 * for.
 */
static void
look_at_some(struct server *server)
{
	struct blocked *b = server->blocked;
	struct waited_key *key;
	enum kv_type type;
	size_t n;

	for (n = 0; b->look_left > 0 && n < LOOKED_AT_A_TURN; n++, b->look_left--) {
		key = b->look_next != NULL ? b->look_next : TAILQ_FIRST(&b->all);
		if (key == NULL) {
			b->look_left = 0;
			return;
		}
		b->look_next = TAILQ_NEXT(key, all);
		if (b->keyed > 0 || is_there(server, key, &type))
			make_ready(b, key);
	}
}

void
blocked_look_again(struct server *server)
{
	struct blocked *b = server->blocked;

	b->look_left = hash_map_count(b->keys);
	look_at_some(server);
}

static void
answer_unserved(struct block *block, const char *error)
{
	struct client *c = block->client;
	struct request rq = request_of(block, NULL);

	if (error != NULL)
		request_error(&rq, "%s", error);
	else
		resp_put_null_array(rq.reply, rq.proto);
	c->server->blocked->running = block;
	c->server->blocked->end(&rq);
	c->server->blocked->running = NULL;
	if (block->client == NULL)
		block_free(block);
	else
		finish(c);
}

void
blocked_end_all(struct server *server)
{
	server->blocked->ends_all = true;
}

/* True if there are more. */
static bool
end_some(struct blocked *b)
{
	struct waited_key *key;
	size_t n;

	for (n = 0; (key = TAILQ_FIRST(&b->all)) != NULL; n++) {
		if (n == ENDED_A_TURN)
			return true;
		answer_unserved(TAILQ_FIRST(&key->waiters)->block,
		    "UNBLOCKED force unblock from blocking operation, instance state changed "
		    "(master -> replica?)");
	}
	return false;
}

uint64_t
blocked_turn(struct server *server, uint64_t now_us)
{
	struct blocked *b = server->blocked;
	const struct time_queue_entry *first;
	bool looks = b->look_left > 0 && !server_is_paused(server, now_us);
	size_t n;

	if (b->ends_all && end_some(b))
		return 0;
	if (looks) {
		look_at_some(server);
		blocked_serve(server);
		looks = b->look_left > 0;
	}
	/* A script that is suspended is one step: whom it serves was served before his time is up.
	 */
	if (server->pause->by_script != NULL)
		return UINT64_MAX;
	for (n = 0; (first = time_queue_first(&b->deadlines)) != NULL; n++) {
		if ((uint64_t)first->at > now_us)
			return looks ? 0 : (uint64_t)first->at - now_us;
		if (n == ENDED_A_TURN)
			return 0;
		answer_unserved(first->thing, NULL);
	}
	return looks ? 0 : UINT64_MAX;
}

bool
blocked_end(struct client *c, bool with_error)
{
	if (client_waits_for(c) != WAIT_KEY)
		return false;
	answer_unserved(
	    c->pending->block, with_error ? "UNBLOCKED client unblocked via CLIENT UNBLOCK" : NULL);
	return true;
}
