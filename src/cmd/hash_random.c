#include "config.h"

#include "cmd/handlers.h"
#include "cmd/random_pick.h"
#include "kv/hash.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/request_keys.h"

/* HRANDFIELD. */
struct picking {
	struct request *rq;
	bool with_values;
	uint64_t left; /* fields still to be drawn */
};

static bool
put_picked(struct slice field, struct slice value, void *arg)
{
	const struct picking *p = arg;
	struct buffer *reply = p->rq->reply;

	if (p->with_values && p->rq->proto >= 3)
		resp_put_array(reply, 2);
	resp_put_bulk(reply, field);
	if (p->with_values)
		resp_put_bulk(reply, value);
	return true;
}

static bool
put_drawn(struct slice field, struct slice value, void *arg)
{
	struct picking *p = arg;

	if (!draw_may_go_on(p->rq))
		return false;
	p->left--;
	return put_picked(field, value, arg);
}

static void
draw(struct request *rq, const struct kv_hash *hash, uint64_t count, bool with_values)
{
	struct picking picking = {rq, with_values, count};
	size_t from_len = rq->reply->len;

	if (draw_fits(count)) {
		resp_put_array(rq->reply, with_values && rq->proto < 3 ? 2 * count : count);
		kv_hash_draw(hash, count, rq->server->random, put_drawn, &picking);
	}
	if (picking.left > 0)
		draw_refuse(rq, from_len);
}

static void
pick(struct request *rq, const struct kv_hash *hash, uint64_t count, bool with_values)
{
	struct picking picking = {rq, with_values, 0};
	size_t all = kv_hash_count(hash);

	if (count > all)
		count = all;
	resp_put_array(rq->reply, with_values && rq->proto < 3 ? 2 * count : count);
	if (count == all)
		kv_hash_each(hash, put_picked, &picking);
	else
		kv_hash_sample(hash, count, rq->server->random, put_picked, &picking);
}

static void
put_one(struct request *rq, const struct kv_hash *hash)
{
	struct slice field, value;

	if (hash == NULL) {
		resp_put_null(rq->reply, rq->proto);
		return;
	}
	kv_hash_random(hash, rq->server->random, &field, &value);
	resp_put_bulk(rq->reply, field);
}

enum command_result
cmd_hrandfield(struct request *rq)
{
	bool with_values = rq->argc > 3;
	int64_t count = 0;
	void *hash;

	if (rq->argc > 2 && !draw_count(rq, rq->argv[2], false, &count))
		return COMMAND_DONE;
	if (rq->argc > 4 || (with_values && !slice_is_nocase(rq->argv[3], "withvalues"))) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (with_values && !draw_count(rq, rq->argv[2], true, &count))
		return COMMAND_DONE;
	if (!key_read_value(rq, rq->argv[1], KV_HASH, &hash))
		return COMMAND_DONE;
	if (rq->argc == 2)
		put_one(rq, hash);
	else if (hash == NULL)
		resp_put_array(rq->reply, 0);
	else if (count < 0)
		draw(rq, hash, (uint64_t)-count, with_values);
	else
		pick(rq, hash, (uint64_t)count, with_values);
	return COMMAND_DONE;
}
