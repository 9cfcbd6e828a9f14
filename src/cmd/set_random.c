#include "config.h"

#include "cmd/handlers.h"
#include "cmd/random_pick.h"
#include "kv/keyspace.h"
#include "kv/set.h"
#include "resp/writer.h"
#include "server/propagation.h"
#include "server/request_keys.h"

/* SPOP and SRANDMEMBER. */

/*
 * The most members in one SREM of the append-only file, so that the length of its commands is
 * bounded.
 */
#define LOGGED_AT_ONCE 1024

/*
 * Positions in the reply of the members that were popped and not logged yet. They are offsets
 * because the reply moves as it grows.
 */
struct popping {
	struct request *rq;
	struct {
		size_t at, len;
	} popped[LOGGED_AT_ONCE];
	size_t count;
};

static bool
put_popped(struct slice member, void *arg)
{
	struct popping *p = arg;
	struct buffer *reply = p->rq->reply;

	resp_put_bulk(reply, member);
	p->popped[p->count].at = reply->len - member.len - 2;
	p->popped[p->count].len = member.len;
	p->count++;
	return true;
}

static void
log_popped(struct popping *p)
{
	struct slice argv[LOGGED_AT_ONCE + 2];
	size_t i;

	argv[0] = SLICE("SREM");
	argv[1] = p->rq->argv[1];
	for (i = 0; i < p->count; i++)
		argv[i + 2] = (struct slice){p->rq->reply->ptr + p->popped[i].at, p->popped[i].len};
	request_propagate(p->rq, argv, p->count + 2);
	p->count = 0;
}

static void
pop(struct request *rq, struct kv_set *set, uint64_t count)
{
	struct popping popping;

	popping.rq = rq;
	popping.count = 0;
	while (count-- > 0) {
		kv_set_pop(set, rq->server->random, put_popped, &popping);
		if (popping.count == LOGGED_AT_ONCE || count == 0)
			log_popped(&popping);
	}
}

static bool
put_member(struct slice member, void *arg)
{
	struct request *rq = arg;

	resp_put_bulk(rq->reply, member);
	return true;
}

static void
pop_all(struct request *rq, struct kv_key *key, const struct kv_set *set)
{
	resp_put_set(rq->reply, rq->proto, kv_set_count(set));
	kv_set_each(set, put_member, rq);
	key_changed(rq, rq->argv[1], KEY_SET, "spop");
	key_remove(rq, key, "del");
	request_propagate(rq, (const struct slice[]){SLICE("DEL"), rq->argv[1]}, 2);
}

static void
pop_some(struct request *rq)
{
	struct kv_key *key;
	int64_t count;
	void *set;

	if (!slice_to_i64(rq->argv[2], &count) || count < 0) {
		request_error(rq, "ERR value is out of range, must be positive");
		return;
	}
	if (!key_write_value(rq, rq->argv[1], KV_SET, &key, &set))
		return;
	if (set == NULL || count == 0) {
		resp_put_set(rq->reply, rq->proto, 0);
	} else if ((uint64_t)count >= kv_set_count(set)) {
		pop_all(rq, key, set);
	} else {
		resp_put_set(rq->reply, rq->proto, (size_t)count);
		pop(rq, set, (uint64_t)count);
		key_changed(rq, rq->argv[1], KEY_SET, "spop");
	}
}

static void
pop_one(struct request *rq)
{
	struct kv_key *key;
	void *set;

	if (!key_write_value(rq, rq->argv[1], KV_SET, &key, &set))
		return;
	if (set == NULL) {
		resp_put_null(rq->reply, rq->proto);
		return;
	}
	pop(rq, set, 1);
	key_changed(rq, rq->argv[1], KEY_SET, "spop");
	if (kv_set_count(set) == 0)
		key_remove(rq, key, "del");
}

enum command_result
cmd_spop(struct request *rq)
{
	if (rq->argc > 3)
		request_syntax_error(rq);
	else if (rq->argc == 3)
		pop_some(rq);
	else
		pop_one(rq);
	return COMMAND_DONE;
}

struct drawing {
	struct request *rq;
	uint64_t left;
};

static bool
put_drawn(struct slice member, void *arg)
{
	struct drawing *d = arg;

	if (!draw_may_go_on(d->rq))
		return false;
	d->left--;
	return put_member(member, d->rq);
}

static void
draw(struct request *rq, const struct kv_set *set, uint64_t count)
{
	struct drawing drawing = {rq, count};
	size_t from_len = rq->reply->len;

	if (draw_fits(count)) {
		resp_put_array(rq->reply, count);
		kv_set_draw(set, count, rq->server->random, put_drawn, &drawing);
	}
	if (drawing.left > 0)
		draw_refuse(rq, from_len);
}

static void
pick(struct request *rq, const struct kv_set *set, uint64_t count)
{
	size_t all = kv_set_count(set);

	if (count > all)
		count = all;
	resp_put_array(rq->reply, count);
	if (count == all)
		kv_set_each(set, put_member, rq);
	else
		kv_set_sample(set, count, rq->server->random, put_member, rq);
}

enum command_result
cmd_srandmember(struct request *rq)
{
	int64_t count = 0;
	void *set;

	if (rq->argc > 3) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (rq->argc == 3 && !draw_count(rq, rq->argv[2], false, &count))
		return COMMAND_DONE;
	if (!key_read_value(rq, rq->argv[1], KV_SET, &set))
		return COMMAND_DONE;
	if (set == NULL && rq->argc == 3)
		resp_put_array(rq->reply, 0);
	else if (set == NULL)
		resp_put_null(rq->reply, rq->proto);
	else if (count < 0)
		draw(rq, set, (uint64_t)-count);
	else if (rq->argc == 3)
		pick(rq, set, (uint64_t)count);
	else
		kv_set_draw(set, 1, rq->server->random, put_member, rq);
	return COMMAND_DONE;
}
