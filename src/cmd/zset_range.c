#include "config.h"

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "cmd/zset_args.h"
#include "kv/keyspace.h"
#include "kv/zset.h"
#include "resp/writer.h"
#include "server/request_keys.h"
#include "server/server_config.h"

/*
 * Ranges of sorted sets: ZRANGE with all its older forms, ZRANGESTORE, ZREMRANGEBY*, and ZQUERY.
 * Each is first converted to a range of ranks, so a query with an offset costs the same as one
 * without.
 */
struct query {
	enum zset_range_kind kind;
	bool kind_is_open, direction_is_open; /* BYSCORE, BYLEX and REV are accepted */
	bool reverse, with_scores;
	int64_t offset, limit; /* limit < 0: no limit */
	struct zset_range range;
};

/* Reads the option at argument *at, and moves *at to its last word. */
static bool
parse_option(struct request *rq, size_t *at, bool store, struct query *q)
{
	struct slice word = rq->argv[*at];

	if (!store && slice_is_nocase(word, "withscores")) {
		q->with_scores = true;
	} else if (slice_is_nocase(word, "limit") && rq->argc - *at > 2) {
		if (!args_i64(rq, rq->argv[*at + 1], &q->offset) ||
		    !args_i64(rq, rq->argv[*at + 2], &q->limit))
			return false;
		*at += 2;
	} else if (q->direction_is_open && slice_is_nocase(word, "rev")) {
		q->direction_is_open = false;
		q->reverse = true;
	} else if (q->kind_is_open &&
		   (slice_is_nocase(word, "bylex") || slice_is_nocase(word, "byscore"))) {
		q->kind_is_open = false;
		q->kind = slice_is_nocase(word, "bylex") ? ZSET_BY_LEX : ZSET_BY_SCORE;
	} else {
		request_syntax_error(rq);
		return false;
	}
	return true;
}

/* Reads the source's name at argument `at`, the range and the options. */
static bool
parse_query(struct request *rq, size_t at, bool store, struct query *q)
{
	size_t min = at + 1, max = at + 2, i;

	for (i = at + 3; i < rq->argc; i++) {
		if (!parse_option(rq, &i, store, q))
			return false;
	}
	if (q->limit != -1 && q->kind == ZSET_BY_RANK) {
		request_error(rq, "ERR syntax error, LIMIT is only supported in combination with "
				  "either BYSCORE or BYLEX");
		return false;
	}
	if (q->with_scores && q->kind == ZSET_BY_LEX) {
		request_error(
		    rq, "ERR syntax error, WITHSCORES not supported in combination with BYLEX");
		return false;
	}
	if (q->reverse && q->kind != ZSET_BY_RANK) {
		min = at + 2;
		max = at + 1;
	}
	return zset_parse_range(rq, q->kind, rq->argv[min], rq->argv[max], &q->range);
}

/* Applies offset and limit to the ranks. As in Redis, a negative offset leaves nothing. */
static void
clip(const struct query *q, size_t *from, size_t *to)
{
	size_t count = *to - *from;

	if (q->offset < 0 || (uint64_t)q->offset >= count) {
		*to = *from;
		return;
	}
	count -= (size_t)q->offset;
	if (q->limit >= 0 && (uint64_t)q->limit < count)
		count = (size_t)q->limit;
	if (q->reverse) {
		*to -= (size_t)q->offset;
		*from = *to - count;
	} else {
		*from += (size_t)q->offset;
		*to = *from + count;
	}
}

/* Visits the entries of a range of ranks, from the last to the first if reverse. */
struct walk {
	struct kv_zset_cursor cursor;
	size_t left;
	bool reverse;
};

static void
walk_start(struct walk *w, const struct kv_zset *z, size_t from, size_t to, bool reverse)
{
	w->left = to - from;
	w->reverse = reverse;
	kv_zset_seek(z, reverse ? to : from, &w->cursor);
}

static bool
walk_on(struct walk *w, struct kv_zset_entry *entry)
{
	if (w->left == 0)
		return false;
	w->left--;
	return w->reverse ? kv_zset_prev(&w->cursor, entry) : kv_zset_next(&w->cursor, entry);
}

/* In RESP3 the reply has pairs; in RESP2 members and scores alternate. */
static void
reply_ranks(struct request *rq, const struct kv_zset *z, size_t from, size_t to, bool reverse,
    bool with_scores)
{
	bool pairs = with_scores && rq->proto >= 3;
	struct kv_zset_entry entry;
	struct walk w;

	walk_start(&w, z, from, to, reverse);
	resp_put_array(rq->reply, w.left * (with_scores && !pairs ? 2 : 1));
	while (walk_on(&w, &entry)) {
		if (pairs)
			resp_put_array(rq->reply, 2);
		resp_put_bulk(rq->reply, entry.member);
		if (with_scores)
			resp_put_double(rq->reply, rq->proto, entry.score);
	}
}

static enum command_result
range(struct request *rq, struct query q)
{
	size_t from, to;
	void *z;

	q.limit = -1;
	if (!parse_query(rq, 1, false, &q) || !key_read_value(rq, rq->argv[1], KV_ZSET, &z))
		return COMMAND_DONE;
	if (z == NULL) {
		resp_put_array(rq->reply, 0);
		return COMMAND_DONE;
	}
	zset_range_ranks(z, &q.range, q.reverse, &from, &to);
	if (q.kind != ZSET_BY_RANK)
		clip(&q, &from, &to);
	reply_ranks(rq, z, from, to, q.reverse, q.with_scores);
	return COMMAND_DONE;
}

enum command_result
cmd_zrange(struct request *rq)
{
	return range(rq, (struct query){.kind_is_open = true, .direction_is_open = true});
}

enum command_result
cmd_zrevrange(struct request *rq)
{
	return range(rq, (struct query){.reverse = true});
}

enum command_result
cmd_zrangebyscore(struct request *rq)
{
	return range(rq, (struct query){.kind = ZSET_BY_SCORE});
}

enum command_result
cmd_zrevrangebyscore(struct request *rq)
{
	return range(rq, (struct query){.kind = ZSET_BY_SCORE, .reverse = true});
}

enum command_result
cmd_zrangebylex(struct request *rq)
{
	return range(rq, (struct query){.kind = ZSET_BY_LEX});
}

enum command_result
cmd_zrevrangebylex(struct request *rq)
{
	return range(rq, (struct query){.kind = ZSET_BY_LEX, .reverse = true});
}

/*
 * As in Redis: a copy that is known to become large is not packed from the start, and -0 is kept.
 */
static struct kv_zset *
copy_ranks(const struct kv_zset *z, const struct query *q, size_t from, size_t to,
    const struct kv_limits *limits)
{
	static const struct kv_limits none = {.zset_entries = 0};
	struct kv_zset *copy = kv_zset_new();
	struct kv_zset_entry entry;
	struct walk w;

	if (q->kind == ZSET_BY_RANK && to - from > limits->zset_entries)
		limits = &none;
	walk_start(&w, z, from, to, q->reverse);
	while (walk_on(&w, &entry))
		kv_zset_put(copy, entry.member, entry.score, limits);
	return copy;
}

enum command_result
cmd_zrangestore(struct request *rq)
{
	struct query q = {.kind_is_open = true, .direction_is_open = true, .limit = -1};
	const struct kv_limits *limits = &rq->server->config->kv;
	size_t from, to;
	void *z;

	if (!parse_query(rq, 2, true, &q) || !key_read_value(rq, rq->argv[2], KV_ZSET, &z))
		return COMMAND_DONE;
	if (z == NULL) {
		zset_store(rq, rq->argv[1], kv_zset_new(), "zrangestore");
		return COMMAND_DONE;
	}
	zset_range_ranks(z, &q.range, q.reverse, &from, &to);
	if (q.kind != ZSET_BY_RANK)
		clip(&q, &from, &to);
	zset_store(rq, rq->argv[1], copy_ranks(z, &q, from, to, limits), "zrangestore");
	return COMMAND_DONE;
}

static enum command_result
remove_range(struct request *rq, enum zset_range_kind kind, const char *event)
{
	struct zset_range range;
	struct kv_key *key;
	size_t from = 0, to = 0;
	void *z;

	if (!zset_parse_range(rq, kind, rq->argv[2], rq->argv[3], &range) ||
	    !key_write_value(rq, rq->argv[1], KV_ZSET, &key, &z))
		return COMMAND_DONE;
	if (z != NULL)
		zset_range_ranks(z, &range, false, &from, &to);
	resp_put_int(rq->reply, (int64_t)(to - from));
	if (from == to)
		return COMMAND_DONE;
	if (to - from < kv_zset_count(z)) {
		kv_zset_remove_ranks(z, from, to);
		key_changed(rq, rq->argv[1], KEY_ZSET, event);
	} else {
		/* Removing the key frees the members in slices. */
		key_changed(rq, rq->argv[1], KEY_ZSET, event);
		key_remove(rq, key, "del");
	}
	return COMMAND_DONE;
}

enum command_result
cmd_zremrangebyrank(struct request *rq)
{
	return remove_range(rq, ZSET_BY_RANK, "zremrangebyrank");
}

enum command_result
cmd_zremrangebyscore(struct request *rq)
{
	return remove_range(rq, ZSET_BY_SCORE, "zremrangebyscore");
}

enum command_result
cmd_zremrangebylex(struct request *rq)
{
	return remove_range(rq, ZSET_BY_LEX, "zremrangebylex");
}

/* ZQUERY key score name offset limit: a page of the members from (score, name) on. */
enum command_result
cmd_zquery(struct request *rq)
{
	struct query q = {.kind = ZSET_BY_SCORE};
	struct rank_bound bound = {.by = RANK_BY_BOTH, .key = rq->argv[3]};
	size_t from, to;
	void *z;

	if (!zset_parse_score(rq, rq->argv[2], NULL, &bound.score) ||
	    !args_i64(rq, rq->argv[4], &q.offset) || !args_i64(rq, rq->argv[5], &q.limit))
		return COMMAND_DONE;
	if (q.offset < 0 || q.limit < 0) {
		request_error(rq, "ERR offset and limit must not be negative");
		return COMMAND_DONE;
	}
	if (!key_read_value(rq, rq->argv[1], KV_ZSET, &z))
		return COMMAND_DONE;
	if (z == NULL) {
		resp_put_array(rq->reply, 0);
		return COMMAND_DONE;
	}
	from = kv_zset_count_before(z, &bound);
	to = kv_zset_count(z);
	clip(&q, &from, &to);
	reply_ranks(rq, z, from, to, false, true);
	return COMMAND_DONE;
}
