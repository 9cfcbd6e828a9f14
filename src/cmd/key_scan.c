#include "config.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/glob.h"
#include "base/random.h"
#include "cmd/handlers.h"
#include "cmd/long_reply.h"
#include "cmd/scan.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/job.h"
#include "server/pause.h"
#include "server/request_keys.h"

/* Enumeration of keys: KEYS SCAN RANDOMKEY. */

/*
 * How long KEYS may run before other clients are served, and the work between two checks of the
 * clock. One unit of work is a scan step, or MATCHED_A_WORK bytes of name times bytes of pattern.
 */
#define AT_ONCE_US 1000
#define WORK_A_LOOK 64
#define MATCHED_A_WORK 1024

/* The number of keys that RANDOMKEY draws while expired keys cannot be removed. */
#define RANDOM_TRIES 100

/* KEYS runs as SCAN from beginning to end, so a key that exists all the time is listed. */
struct keys {
	char *pattern; /* owned */
	size_t pattern_len;
	bool takes_all;
	uint32_t db;
	uint64_t cursor;
	int64_t now_ms;
	const struct kv_db *in; /* valid during a step */
	size_t count;
	size_t work; /* since the last check of the clock */
	bool is_gathered;
	struct long_reply names;
};

static void
keys_free(void *state)
{
	struct keys *keys = state;

	long_reply_release(&keys->names);
	xfree(keys->pattern);
	xfree(keys);
}

static bool
take_name(struct kv_key *key, void *arg)
{
	struct keys *keys = arg;
	struct slice pattern = {keys->pattern, keys->pattern_len};

	keys->work += kv_name(key).len * pattern.len / MATCHED_A_WORK;
	if ((keys->takes_all || glob_match(pattern, kv_name(key), false)) &&
	    !kv_is_due(keys->in, key, keys->now_ms)) {
		resp_put_bulk(long_reply_room(&keys->names), kv_name(key));
		keys->count++;
	}
	return true;
}

/* Returns false if the time is up before all keys have been visited. */
static bool
gather(struct keys *keys, struct kv *kv, uint64_t deadline_us)
{
	keys->in = kv_database(kv, keys->db);
	keys->now_ms = (int64_t)(clock_wall_us() / 1000);
	do {
		keys->cursor = kv_scan(keys->in, keys->cursor, take_name, keys);
		if (++keys->work < WORK_A_LOOK)
			continue;
		keys->work = 0;
		if (clock_mono_us() >= deadline_us)
			return keys->cursor == 0;
	} while (keys->cursor != 0);
	return true;
}

static enum job_state
keys_step(void *state, struct job_step *step)
{
	struct keys *keys = state;

	if (!keys->is_gathered) {
		keys->is_gathered = gather(keys, step->server->kv, step->deadline_us);
		if (!keys->is_gathered)
			return JOB_MORE;
		resp_put_array(step->reply, keys->count);
	}
	return long_reply_send(&keys->names, step);
}

enum command_result
cmd_keys(struct request *rq)
{
	static const struct job_kind kind = {"keys", keys_step, keys_free};
	struct keys *keys;
	struct job_step step = long_reply_first_step(rq, AT_ONCE_US);

	if (!scan_pattern_fits(rq, rq->argv[1]))
		return COMMAND_DONE;
	keys = xcalloc(1, sizeof(*keys));
	keys->pattern = xmemdup(rq->argv[1].ptr, rq->argv[1].len);
	keys->pattern_len = rq->argv[1].len;
	keys->takes_all = slice_is(rq->argv[1], "*");
	keys->db = rq->client->db;
	if (keys_step(keys, &step) == JOB_DONE)
		keys_free(keys);
	else
		job_start(rq->server, rq->client, &kind, keys);
	return COMMAND_DONE;
}

struct scanning {
	const struct kv_db *db;
	struct scan *scan;
	int64_t now_ms;
};

static bool
see_key(struct kv_key *key, void *arg)
{
	const struct scanning *s = arg;
	struct slice name = kv_name(key);

	if (scan_see(s->scan, name, 1) && !kv_is_due(s->db, key, s->now_ms) &&
	    (!s->scan->is_typed || slice_is_nocase(s->scan->type, kv_types[kv_type_of(key)].name)))
		scan_put(s->scan, name);
	return true;
}

static uint64_t
scan_keys(const void *target, uint64_t cursor, struct scan *scan)
{
	struct scanning s = *(const struct scanning *)target;

	s.scan = scan;
	return kv_scan(s.db, cursor, see_key, &s);
}

enum command_result
cmd_scan(struct request *rq)
{
	struct scanning s = {.db = request_db(rq), .now_ms = request_now_ms(rq)};
	struct scan scan;

	if (scan_cursor(rq, 1, &scan) && scan_options(rq, 2, true, &scan))
		scan_run(rq, &scan, scan_keys, &s);
	return COMMAND_DONE;
}

enum command_result
cmd_randomkey(struct request *rq)
{
	struct kv_db *db = request_db(rq);
	struct kv_key *key;
	unsigned tries = 0;

	/*
	 * key_peek removes an expired key, so this loop ends. In a pause it does not: then the loop
	 * ends after so many expired keys, as in Redis.
	 */
	do {
		key = kv_random(db, random_next(rq->server->random));
	} while (key != NULL && key_peek(rq, db, kv_name(key)) == NULL &&
		 (!server_is_paused(rq->server, rq->now_us) || ++tries < RANDOM_TRIES));
	if (key == NULL)
		resp_put_null(rq->reply, rq->proto);
	else
		resp_put_bulk(rq->reply, kv_name(key));
	return COMMAND_DONE;
}
