#include "config.h"

#include <math.h>

#include "base/alloc.h"
#include "cmd/handlers.h"
#include "cmd/zset_args.h"
#include "kv/keyspace.h"
#include "kv/zset.h"
#include "resp/writer.h"
#include "server/command.h"
#include "server/request_keys.h"
#include "server/server_config.h"

/* Sorted sets: single members, and counts. Ranges are in cmd/zset_range.c. */

struct zadd {
	bool nx, xx, gt, lt, ch, incr;
	size_t first; /* index of the argument with the first score */
	size_t added, updated;
	bool done; /* INCR: the score was set */
	double score;
};

static bool
parse_flag(struct slice word, struct zadd *add)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {{"nx", &add->nx}, {"xx", &add->xx}, {"ch", &add->ch}, {"incr", &add->incr},
	    {"gt", &add->gt}, {"lt", &add->lt}};
	size_t i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (slice_is_nocase(word, flags[i].name)) {
			*flags[i].flag = true;
			return true;
		}
	}
	return false;
}

static bool
parse_flags(struct request *rq, struct zadd *add)
{
	size_t words;

	for (add->first = 2; add->first < rq->argc; add->first++) {
		if (!parse_flag(rq->argv[add->first], add))
			break;
	}
	words = rq->argc - add->first;
	if (words == 0 || words % 2 != 0)
		request_syntax_error(rq);
	else if (add->nx && add->xx)
		request_error(rq, "ERR XX and NX options at the same time are not compatible");
	else if (add->gt + add->lt + add->nx > 1)
		request_error(
		    rq, "ERR GT, LT, and/or NX options at the same time are not compatible");
	else if (add->incr && words > 2)
		request_error(rq, "ERR INCR option supports a single increment-element pair");
	else
		return true;
	return false;
}

/* Returns false if the sum is not a number. */
static bool
add_one(struct request *rq, struct kv_zset *z, struct zadd *add, struct slice member, double score)
{
	const struct kv_limits *limits = &rq->server->config->kv;
	double old;

	add->done = false;
	if (!kv_zset_score(z, member, &old)) {
		if (add->xx)
			return true;
		kv_zset_put(z, member, score, limits);
		add->added++;
	} else {
		if (add->nx)
			return true;
		if (add->incr)
			score += old;
		if (isnan(score))
			return false;
		if ((add->lt && score >= old) || (add->gt && score <= old))
			return true;
		if (score != old) {
			kv_zset_put(z, member, score, limits);
			add->updated++;
		}
	}
	add->done = true;
	add->score = score;
	return true;
}

static void
add_all(struct request *rq, struct zadd *add, const double *scores)
{
	struct slice name = rq->argv[1];
	struct kv_key *key;
	void *value;
	struct kv_zset *z;
	size_t i;

	if (!key_write_value(rq, name, KV_ZSET, &key, &value))
		return;
	if (value == NULL && add->xx) {
		add->done = false;
	} else {
		z = value != NULL ? value : kv_zset_new();
		for (i = add->first; i < rq->argc; i += 2) {
			if (!add_one(rq, z, add, rq->argv[i + 1], scores[(i - add->first) / 2])) {
				request_error(rq, "ERR resulting score is not a number (NaN)");
				return;
			}
		}
		if (value == NULL)
			key_add(rq, name, KV_ZSET, z);
	}
	if (add->added + add->updated > 0)
		key_changed(rq, name, KEY_ZSET, add->incr ? "zincr" : "zadd");
	if (!add->incr)
		resp_put_int(rq->reply, (int64_t)(add->added + (add->ch ? add->updated : 0)));
	else if (add->done)
		resp_put_double(rq->reply, rq->proto, add->score);
	else
		resp_put_null(rq->reply, rq->proto);
}

/* All scores are parsed before anything changes. */
static enum command_result
zadd(struct request *rq, bool incr)
{
	struct zadd add = {.incr = incr};
	double few[16] = {0}, *scores = few;
	size_t count, i;

	if (!parse_flags(rq, &add))
		return COMMAND_DONE;
	count = (rq->argc - add.first) / 2;
	if (count > sizeof(few) / sizeof(few[0]))
		scores = xcalloc(count, sizeof(*scores));
	for (i = 0; i < count; i++) {
		if (!zset_parse_score(rq, rq->argv[add.first + 2 * i], NULL, &scores[i]))
			break;
	}
	if (i == count)
		add_all(rq, &add, scores);
	if (scores != few)
		xfree(scores);
	return COMMAND_DONE;
}

enum command_result
cmd_zadd(struct request *rq)
{
	return zadd(rq, false);
}

enum command_result
cmd_zincrby(struct request *rq)
{
	return zadd(rq, true);
}

enum command_result
cmd_zrem(struct request *rq)
{
	struct kv_key *key;
	void *value;
	int64_t removed = 0;
	size_t i;

	if (!key_write_value(rq, rq->argv[1], KV_ZSET, &key, &value))
		return COMMAND_DONE;
	for (i = 2; value != NULL && i < rq->argc && kv_zset_count(value) > 0; i++)
		removed += kv_zset_remove(value, rq->argv[i]);
	if (removed > 0) {
		key_changed(rq, rq->argv[1], KEY_ZSET, "zrem");
		if (kv_zset_count(value) == 0)
			key_remove(rq, key, "del");
	}
	resp_put_int(rq->reply, removed);
	return COMMAND_DONE;
}

static void
put_score(struct request *rq, const struct kv_zset *z, struct slice member)
{
	double score;

	if (z != NULL && kv_zset_score(z, member, &score))
		resp_put_double(rq->reply, rq->proto, score);
	else
		resp_put_null(rq->reply, rq->proto);
}

enum command_result
cmd_zscore(struct request *rq)
{
	void *z;

	if (key_read_value(rq, rq->argv[1], KV_ZSET, &z))
		put_score(rq, z, rq->argv[2]);
	return COMMAND_DONE;
}

enum command_result
cmd_zmscore(struct request *rq)
{
	void *z;
	size_t i;

	if (!key_read_value(rq, rq->argv[1], KV_ZSET, &z))
		return COMMAND_DONE;
	resp_put_array(rq->reply, rq->argc - 2);
	for (i = 2; i < rq->argc; i++)
		put_score(rq, z, rq->argv[i]);
	return COMMAND_DONE;
}

enum command_result
cmd_zcard(struct request *rq)
{
	void *z;

	if (key_read_value(rq, rq->argv[1], KV_ZSET, &z))
		resp_put_int(rq->reply, z != NULL ? (int64_t)kv_zset_count(z) : 0);
	return COMMAND_DONE;
}

static enum command_result
count_range(struct request *rq, enum zset_range_kind kind)
{
	struct zset_range range;
	size_t from = 0, to = 0;
	void *z;

	if (!zset_parse_range(rq, kind, rq->argv[2], rq->argv[3], &range) ||
	    !key_read_value(rq, rq->argv[1], KV_ZSET, &z))
		return COMMAND_DONE;
	if (z != NULL)
		zset_range_ranks(z, &range, false, &from, &to);
	resp_put_int(rq->reply, (int64_t)(to - from));
	return COMMAND_DONE;
}

enum command_result
cmd_zcount(struct request *rq)
{
	return count_range(rq, ZSET_BY_SCORE);
}

enum command_result
cmd_zlexcount(struct request *rq)
{
	return count_range(rq, ZSET_BY_LEX);
}

static enum command_result
put_rank(struct request *rq, bool reverse)
{
	bool with_score = rq->argc > 3;
	double score;
	size_t rank;
	void *z;

	if (rq->argc > 4) {
		request_error(
		    rq, "ERR wrong number of arguments for '%s' command", rq->command->name);
		return COMMAND_DONE;
	}
	if (with_score && !slice_is_nocase(rq->argv[3], "withscore")) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (!key_read_value(rq, rq->argv[1], KV_ZSET, &z))
		return COMMAND_DONE;
	if (z == NULL || !kv_zset_rank(z, rq->argv[2], &rank, &score)) {
		if (with_score)
			resp_put_null_array(rq->reply, rq->proto);
		else
			resp_put_null(rq->reply, rq->proto);
		return COMMAND_DONE;
	}
	if (with_score)
		resp_put_array(rq->reply, 2);
	resp_put_int(rq->reply, (int64_t)(reverse ? kv_zset_count(z) - 1 - rank : rank));
	if (with_score)
		resp_put_double(rq->reply, rq->proto, score);
	return COMMAND_DONE;
}

enum command_result
cmd_zrank(struct request *rq)
{
	return put_rank(rq, false);
}

enum command_result
cmd_zrevrank(struct request *rq)
{
	return put_rank(rq, true);
}
