#include "config.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "cmd/args.h"
#include "cmd/difference.h"
#include "cmd/handlers.h"
#include "cmd/zset_args.h"
#include "kv/keyspace.h"
#include "kv/set.h"
#include "kv/zset.h"
#include "resp/writer.h"
#include "server/command.h"
#include "server/request_keys.h"
#include "server/server_config.h"

/*
 * ZUNION, ZINTER, ZDIFF, their STORE forms, and ZINTERCARD. A set counts as a sorted set whose
 * scores are all 1.
 */
enum operation { UNION, INTER, DIFF };
enum aggregate { SUM, MIN, MAX };

struct operand {
	const struct kv_zset *z;  /* the value, if it is a sorted set */
	const struct kv_set *set; /* the value, if it is a set; both NULL: no such key */
	double weight;
	size_t place; /* index in the arguments, which makes the sort stable */
};

struct combination {
	enum operation operation;
	enum aggregate aggregate;
	bool stores, only_count;
	bool with_scores;
	int64_t limit; /* ZINTERCARD: 0: no limit */
	struct operand *operands;
	size_t count;
};

static size_t
operand_count(const struct operand *o)
{
	if (o->z != NULL)
		return kv_zset_count(o->z);
	return o->set != NULL ? kv_set_count(o->set) : 0;
}

static bool
operand_score(const struct operand *o, struct slice member, double *score)
{
	*score = 1;
	if (o->z != NULL)
		return kv_zset_score(o->z, member, score);
	return o->set != NULL && kv_set_has(o->set, member);
}

/* False ends the visit. */
typedef bool operand_visit(struct slice member, double score, void *arg);

struct set_walk {
	operand_visit *visit;
	void *arg;
};

static bool
visit_member(struct slice member, void *arg)
{
	const struct set_walk *walk = arg;

	return walk->visit(member, 1, walk->arg);
}

static void
operand_each(const struct operand *o, operand_visit *visit, void *arg)
{
	struct set_walk walk = {visit, arg};
	struct kv_zset_cursor cursor;
	struct kv_zset_entry entry;

	if (o->set != NULL)
		kv_set_each(o->set, visit_member, &walk);
	if (o->z == NULL)
		return;
	kv_zset_seek(o->z, 0, &cursor);
	while (kv_zset_next(&cursor, &entry) && visit(entry.member, entry.score, arg))
		continue;
}

static bool
find_operands(struct request *rq, struct combination *c, size_t first_key)
{
	size_t i;

	for (i = 0; i < c->count; i++) {
		struct kv_key *key = key_read(rq, rq->argv[first_key + i]);
		struct operand *o = &c->operands[i];

		*o = (struct operand){.weight = 1, .place = i};
		if (key != NULL && kv_type_of(key) == KV_SET)
			o->set = kv_value(key);
		else if (!key_is_of(rq, key, KV_ZSET))
			return false;
		else if (key != NULL)
			o->z = kv_value(key);
	}
	return true;
}

static bool
parse_aggregate(struct request *rq, struct slice word, enum aggregate *aggregate)
{
	if (slice_is_nocase(word, "sum"))
		*aggregate = SUM;
	else if (slice_is_nocase(word, "min"))
		*aggregate = MIN;
	else if (slice_is_nocase(word, "max"))
		*aggregate = MAX;
	else {
		request_syntax_error(rq);
		return false;
	}
	return true;
}

/* Reads the option at argument *at, and moves *at behind it. */
static bool
parse_option(struct request *rq, size_t *at, struct combination *c)
{
	struct slice word = rq->argv[*at];
	size_t left = rq->argc - *at, i;
	bool scored = c->operation != DIFF && !c->only_count;

	if (scored && left > c->count && slice_is_nocase(word, "weights")) {
		for (i = 0; i < c->count; i++) {
			if (!zset_parse_score(rq, rq->argv[*at + 1 + i],
				"weight value is not a float", &c->operands[i].weight))
				return false;
		}
		*at += 1 + c->count;
	} else if (scored && left >= 2 && slice_is_nocase(word, "aggregate")) {
		if (!parse_aggregate(rq, rq->argv[*at + 1], &c->aggregate))
			return false;
		*at += 2;
	} else if (!c->stores && !c->only_count && slice_is_nocase(word, "withscores")) {
		c->with_scores = true;
		*at += 1;
	} else if (c->only_count && left >= 2 && slice_is_nocase(word, "limit")) {
		if (!slice_to_i64(rq->argv[*at + 1], &c->limit) || c->limit < 0) {
			request_error(rq, "ERR LIMIT can't be negative");
			return false;
		}
		*at += 2;
	} else {
		request_syntax_error(rq);
		return false;
	}
	return true;
}

/* numkeys is at argument `at`. The operands are allocated even if it returns false. */
static bool
parse(struct request *rq, size_t at, struct combination *c)
{
	char name[COMMAND_NAME_MAX];
	int64_t keys;

	if (!args_i64(rq, rq->argv[at], &keys))
		return false;
	if (keys < 1) {
		request_error(rq, "ERR at least 1 input key is needed for '%s' command",
		    command_full_name(rq->command, name));
		return false;
	}
	if ((uint64_t)keys > rq->argc - at - 1) {
		request_syntax_error(rq);
		return false;
	}
	c->count = (size_t)keys;
	c->operands = xmalloc(c->count * sizeof(c->operands[0]));
	if (!find_operands(rq, c, at + 1))
		return false;
	for (at += 1 + c->count; at < rq->argc;) {
		if (!parse_option(rq, &at, c))
			return false;
	}
	return true;
}

static double
weighted(double score, double weight)
{
	double value = score * weight;

	return isnan(value) ? 0 : value; /* 0 times infinity */
}

static double
aggregated(double a, double b, enum aggregate aggregate)
{
	switch (aggregate) {
	case MIN:
		return b < a ? b : a;
	case MAX:
		return b > a ? b : a;
	case SUM:
		break;
	}
	return isnan(a + b) ? 0 : a + b; /* inf + -inf */
}

/* The state of a combination; operands[at] is the one being visited. */
struct gathering {
	const struct combination *c;
	size_t at;
	struct kv_zset *result; /* NULL: only counted */
	size_t count;
	const struct kv_limits *limits;
};

static bool
gather_union(struct slice member, double score, void *arg)
{
	struct gathering *g = arg;
	double before;

	score = weighted(score, g->c->operands[g->at].weight);
	if (kv_zset_score(g->result, member, &before))
		score = aggregated(before, score, g->c->aggregate);
	kv_zset_put(g->result, member, score, g->limits);
	return true;
}

static bool
gather_inter(struct slice member, double score, void *arg)
{
	struct gathering *g = arg;
	size_t i;

	score = weighted(score, g->c->operands[0].weight);
	for (i = 1; i < g->c->count; i++) {
		const struct operand *o = &g->c->operands[i];
		double other;

		if (!operand_score(o, member, &other))
			return true;
		/* Redis does not replace NaN by 0 here either; MIN and MAX ignore NaN. */
		score = aggregated(score, other * o->weight, g->c->aggregate);
	}
	g->count++;
	if (g->result != NULL)
		kv_zset_put(g->result, member, score, g->limits);
	return g->c->limit == 0 || g->count < (uint64_t)g->c->limit;
}

static bool
gather_if_in_no_other(struct slice member, double score, void *arg)
{
	struct gathering *g = arg;
	size_t i;
	double other;

	for (i = 1; i < g->c->count; i++) {
		if (operand_score(&g->c->operands[i], member, &other))
			return true;
	}
	kv_zset_put(g->result, member, score, g->limits);
	return true;
}

static bool
gather(struct slice member, double score, void *arg)
{
	struct gathering *g = arg;

	kv_zset_put(g->result, member, score, g->limits);
	return true;
}

static bool
ungather(struct slice member, double score, void *arg)
{
	struct gathering *g = arg;

	(void)score;
	kv_zset_remove(g->result, member);
	return kv_zset_count(g->result) > 0;
}

static void
gather_diff(struct gathering *g)
{
	const struct combination *c = g->c;
	size_t all = 0, i;

	assert(c->count > 0);
	for (i = 0; i < c->count; i++)
		all += operand_count(&c->operands[i]);
	if (difference_is_by_look_up(operand_count(&c->operands[0]), all, c->count)) {
		operand_each(&c->operands[0], gather_if_in_no_other, g);
		return;
	}
	operand_each(&c->operands[0], gather, g);
	for (i = 1; i < c->count && kv_zset_count(g->result) > 0; i++)
		operand_each(&c->operands[i], ungather, g);
}

static int
compare_operands(const void *a, const void *b)
{
	const struct operand *x = a, *y = b;
	size_t m = operand_count(x), n = operand_count(y);

	if (m != n)
		return m < n ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

/*
 * Smaller operands come first: an intersection is then less work, and sums are added in the order
 * of Redis.
 */
static void
gather_all(struct gathering *g, struct combination *c)
{
	if (c->operation != DIFF)
		qsort(c->operands, c->count, sizeof(c->operands[0]), compare_operands);
	switch (c->operation) {
	case UNION:
		for (g->at = 0; g->at < c->count; g->at++)
			operand_each(&c->operands[g->at], gather_union, g);
		break;
	case INTER:
		operand_each(&c->operands[0], gather_inter, g);
		break;
	case DIFF:
		gather_diff(g);
		break;
	}
}

static void
reply_whole(struct request *rq, const struct kv_zset *z, bool with_scores)
{
	bool pairs = with_scores && rq->proto >= 3;
	struct kv_zset_cursor cursor;
	struct kv_zset_entry entry;

	resp_put_array(rq->reply, kv_zset_count(z) * (with_scores && !pairs ? 2 : 1));
	kv_zset_seek(z, 0, &cursor);
	while (kv_zset_next(&cursor, &entry)) {
		if (pairs)
			resp_put_array(rq->reply, 2);
		resp_put_bulk(rq->reply, entry.member);
		if (with_scores)
			resp_put_double(rq->reply, rq->proto, entry.score);
	}
}

/* Converts a small result to the packed encoding. */
static struct kv_zset *
packed_if_small(struct kv_zset *z, const struct kv_limits *limits)
{
	struct kv_zset *packed;
	struct kv_zset_cursor cursor;
	struct kv_zset_entry entry;

	if (kv_zset_count(z) > limits->zset_entries)
		return z;
	packed = kv_zset_new();
	kv_zset_seek(z, 0, &cursor);
	while (kv_zset_is_packed(packed) && kv_zset_next(&cursor, &entry))
		kv_zset_put(packed, entry.member, entry.score, limits);
	if (!kv_zset_is_packed(packed)) {
		kv_zset_free(packed);
		return z;
	}
	kv_zset_free(z);
	return packed;
}

/*
 * event: the event of a STORE form, whose result goes to the first argument; NULL: the result is
 * the reply.
 */
static enum command_result
combine(struct request *rq, enum operation operation, bool only_count, const char *event)
{
	struct combination c = {
	    .operation = operation, .only_count = only_count, .stores = event != NULL};
	/* Not packed, as in Redis, because the packed encoding turns -0 into 0. */
	static const struct kv_limits none = {.zset_entries = 0};
	struct gathering g = {.c = &c, .limits = &none};

	if (parse(rq, c.stores ? 2 : 1, &c)) {
		g.result = only_count ? NULL : kv_zset_new();
		gather_all(&g, &c);
		if (only_count) {
			resp_put_int(rq->reply, (int64_t)g.count);
		} else if (event != NULL) {
			zset_store(rq, rq->argv[1],
			    packed_if_small(g.result, &rq->server->config->kv), event);
		} else {
			reply_whole(rq, g.result, c.with_scores);
			kv_zset_free(g.result);
		}
	}
	xfree(c.operands);
	return COMMAND_DONE;
}

enum command_result
cmd_zunion(struct request *rq)
{
	return combine(rq, UNION, false, NULL);
}

enum command_result
cmd_zinter(struct request *rq)
{
	return combine(rq, INTER, false, NULL);
}

enum command_result
cmd_zdiff(struct request *rq)
{
	return combine(rq, DIFF, false, NULL);
}

enum command_result
cmd_zunionstore(struct request *rq)
{
	return combine(rq, UNION, false, "zunionstore");
}

enum command_result
cmd_zinterstore(struct request *rq)
{
	return combine(rq, INTER, false, "zinterstore");
}

enum command_result
cmd_zdiffstore(struct request *rq)
{
	return combine(rq, DIFF, false, "zdiffstore");
}

enum command_result
cmd_zintercard(struct request *rq)
{
	return combine(rq, INTER, true, NULL);
}
