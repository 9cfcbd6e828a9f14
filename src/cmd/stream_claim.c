#include "config.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "cmd/args.h"
#include "cmd/handlers.h"
#include "cmd/stream_args.h"
#include "cmd/stream_groups.h"
#include "cmd/stream_reply.h"
#include "resp/writer.h"
#include "server/core.h"
#include "server/replay.h"

/* Streams: XCLAIM and XAUTOCLAIM, which give pending entries to another consumer. */

struct claiming {
	struct stream_target target;
	struct stream_consumer *consumer;
	int64_t min_idle_ms;
	int64_t delivered_ms; /* -1: now */
	int64_t deliveries;   /* -1: one more */
	bool force, only_ids;
	struct stream_id last_id;
	struct stream_claims claims;
};

static bool
parse_min_idle(struct request *rq, const char *error, int64_t *ms)
{
	if (!args_at_least(rq, rq->argv[4], INT64_MIN, error, ms))
		return false;
	if (*ms < 0)
		*ms = 0;
	return true;
}

/* Reads the option of XCLAIM at *at, and moves *at to its last argument. */
static bool
parse_option(struct request *rq, size_t *at, struct claiming *c)
{
	struct slice word = rq->argv[*at];
	bool has_more = *at + 1 < rq->argc;

	if (slice_is_nocase(word, "force")) {
		c->force = true;
	} else if (slice_is_nocase(word, "justid")) {
		c->only_ids = true;
	} else if (has_more && slice_is_nocase(word, "idle")) {
		if (!args_at_least(rq, rq->argv[++*at], INT64_MIN,
			"Invalid IDLE option argument for XCLAIM", &c->delivered_ms))
			return false;
		if (__builtin_sub_overflow(request_now_ms(rq), c->delivered_ms, &c->delivered_ms))
			c->delivered_ms = INT64_MAX;
	} else if (has_more && slice_is_nocase(word, "time")) {
		return args_at_least(rq, rq->argv[++*at], INT64_MIN,
		    "Invalid TIME option argument for XCLAIM", &c->delivered_ms);
	} else if (has_more && slice_is_nocase(word, "retrycount")) {
		return args_at_least(rq, rq->argv[++*at], INT64_MIN,
		    "Invalid RETRYCOUNT option argument for XCLAIM", &c->deliveries);
	} else if (has_more && slice_is_nocase(word, "lastid")) {
		return stream_args_id(rq, rq->argv[++*at], &c->last_id);
	} else {
		request_error(rq, "ERR Unrecognized XCLAIM option '%.*s'", (int)word.len, word.ptr);
		return false;
	}
	return true;
}

/* Reads the ids from the sixth argument on, as far as they are ids. Returns their number. */
static size_t
parse_ids(const struct request *rq, struct stream_id *ids)
{
	size_t count = 0;

	while (5 + count < rq->argc && stream_id_parse(rq->argv[5 + count], 0, &ids[count]))
		count++;
	return count;
}

/* Gives a pending entry to the consumer. Puts it into the reply. */
static void
claim(struct request *rq, struct claiming *c, struct stream_id id, struct stream_entry *entry)
{
	struct stream_pending *pending = stream_group_assign(c->target.group, id, c->consumer);

	pending->delivered_ms = c->delivered_ms;
	if (c->deliveries >= 0)
		pending->deliveries = (uint64_t)c->deliveries;
	else if (!c->only_ids)
		stream_pending_count_delivery(pending);
	if (c->only_ids)
		stream_put_id(rq->reply, id);
	else
		stream_put_entry(rq->reply, entry);
	/* A replay gets the time of the delivery, or later the consumer's times if they differ. */
	c->consumer->active_ms = rq->server->replay != NULL ? c->delivered_ms : request_now_ms(rq);
	rq->changes++;
	stream_claims_add(&c->claims, id, pending);
}

/* The entry was deleted, so that nobody can process it. */
static void
forget(struct request *rq, struct claiming *c, struct stream_id id)
{
	stream_claims_end(&c->claims);
	(void)stream_group_acknowledge(c->target.group, id);
	rq->changes++;
	stream_log_acknowledged(rq, &c->target, id);
}

static bool
is_idle(struct request *rq, const struct claiming *c, const struct stream_pending *pending)
{
	return c->min_idle_ms == 0 || request_now_ms(rq) - pending->delivered_ms >= c->min_idle_ms;
}

/* Returns whether the entry was claimed. Our file, or a snapshot, may say that a deleted entry is
 * pending; the file of Redis has the same command for an entry that it drops. */
static bool
claim_one(struct request *rq, struct claiming *c, struct stream_id id)
{
	const struct stream_pending *pending = id_tree_find(&c->target.group->pending, id);
	bool exists, is_kept = server_replays_own(rq->server) && c->only_ids;
	struct stream_entry entry;

	exists = kv_stream_find(c->target.stream, id, &entry);
	if (!exists && !is_kept) {
		if (pending != NULL)
			forget(rq, c, id);
		return false;
	}
	if (pending == NULL ? !c->force : !is_idle(rq, c, pending))
		return false;
	claim(rq, c, id, &entry);
	return true;
}

static void
claim_all(struct request *rq, struct claiming *c, const struct stream_id *ids, size_t count)
{
	struct stream_group *group = c->target.group;
	bool is_further = stream_id_compare(c->last_id, group->last_id) > 0;
	size_t begin, claimed = 0;

	if (is_further)
		group->last_id = c->last_id;
	if (c->delivered_ms < 0 ||
	    (c->delivered_ms > request_now_ms(rq) && rq->server->replay == NULL))
		c->delivered_ms = request_now_ms(rq);
	c->consumer = stream_consumer_seen(rq, &c->target, rq->argv[3]);
	if (rq->server->replay != NULL)
		c->consumer->seen_ms = c->delivered_ms;
	stream_claims_begin(&c->claims, rq, &c->target, rq->argv[3]);
	begin = stream_array_begin(rq->reply);
	for (size_t i = 0; i < count; i++)
		claimed += claim_one(rq, c, ids[i]);
	stream_array_end(rq->reply, begin, '*', claimed);
	stream_claims_end(&c->claims);
	if (claimed > 0 && c->delivered_ms != request_now_ms(rq))
		stream_log_times(rq, &c->target, c->consumer);
	if (is_further) {
		rq->changes++;
		stream_log_position(rq, &c->target);
	}
}

enum command_result
cmd_xclaim(struct request *rq)
{
	struct claiming c = {.delivered_ms = -1, .deliveries = -1};
	struct stream_id *ids;
	size_t count, at;
	bool ok = true;

	if (!stream_target_need(rq, rq->argv[1], rq->argv[2], "", &c.target) ||
	    !parse_min_idle(rq, "Invalid min-idle-time argument for XCLAIM", &c.min_idle_ms))
		return COMMAND_DONE;
	ids = xmalloc((rq->argc - 5) * sizeof(*ids));
	count = parse_ids(rq, ids);
	for (at = 5 + count; ok && at < rq->argc; at++)
		ok = parse_option(rq, &at, &c);
	if (ok)
		claim_all(rq, &c, ids, count);
	xfree(ids);
	return COMMAND_DONE;
}

/* Entries looked at for each that COUNT allows. */
#define LOOKS 10

struct scanning {
	struct stream_id at; /* the next pending entry to be looked at */
	int64_t count;
	struct buffer deleted; /* their ids, in RESP */
	size_t claimed_count, deleted_count;
};

static bool
parse_autoclaim(struct request *rq, struct claiming *c, struct scanning *s)
{
	if (!parse_min_idle(rq, "Invalid min-idle-time argument for XAUTOCLAIM", &c->min_idle_ms) ||
	    !stream_args_start(rq, rq->argv[5], &s->at))
		return false;
	for (size_t i = 6; i < rq->argc; i++) {
		if (slice_is_nocase(rq->argv[i], "count") && i + 1 < rq->argc) {
			if (!args_at_least(rq, rq->argv[++i], 1, "COUNT must be > 0", &s->count))
				return false;
			if (s->count > INT64_MAX / 16) {
				request_error(rq, "ERR COUNT must be > 0");
				return false;
			}
		} else if (slice_is_nocase(rq->argv[i], "justid")) {
			c->only_ids = true;
		} else {
			request_syntax_error(rq);
			return false;
		}
	}
	return true;
}

/* Claims entries from s->at on. Afterwards s->at is where the next call begins, 0-0 at the end. */
static void
scan(struct request *rq, struct claiming *c, struct scanning *s)
{
	const struct id_tree *tree = &c->target.group->pending;
	const struct id_entry *next;
	struct id_cursor cursor;
	struct stream_entry entry;

	id_tree_seek(tree, s->at, false, &cursor);
	next = id_cursor_next(&cursor);
	for (int64_t looks = s->count * LOOKS; next != NULL && looks > 0 && s->count > 0; looks--) {
		struct stream_id id = next->id;

		if (!kv_stream_find(c->target.stream, id, &entry)) {
			forget(rq, c, id);
			stream_put_id(&s->deleted, id);
			s->deleted_count++;
			s->count--;
			/* The tree has changed. */
			id_tree_seek(tree, id, true, &cursor);
		} else if (is_idle(rq, c, next->value)) {
			claim(rq, c, id, &entry);
			s->claimed_count++;
			s->count--;
		}
		next = id_cursor_next(&cursor);
	}
	s->at = next != NULL ? next->id : STREAM_ID_MIN;
}

enum command_result
cmd_xautoclaim(struct request *rq)
{
	struct claiming c = {.delivered_ms = request_now_ms(rq), .deliveries = -1};
	struct scanning s = {.count = 100};
	struct buffer cursor = {0};
	size_t begin;

	if (!parse_autoclaim(rq, &c, &s) ||
	    !stream_target_need(rq, rq->argv[1], rq->argv[2], "", &c.target))
		return COMMAND_DONE;
	c.consumer = stream_consumer_seen(rq, &c.target, rq->argv[3]);
	stream_claims_begin(&c.claims, rq, &c.target, rq->argv[3]);
	begin = stream_array_begin(rq->reply);
	scan(rq, &c, &s);
	stream_array_end(rq->reply, begin, '*', s.claimed_count);
	stream_claims_end(&c.claims);
	resp_put_array(&cursor, 3);
	stream_put_id(&cursor, s.at);
	stream_insert(rq->reply, begin, buffer_slice(&cursor));
	resp_put_array(rq->reply, s.deleted_count);
	buffer_append_slice(rq->reply, buffer_slice(&s.deleted));
	buffer_release(&cursor);
	buffer_release(&s.deleted);
	return COMMAND_DONE;
}
