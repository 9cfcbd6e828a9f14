#include "config.h"

#include "cmd/blocking.h"
#include "cmd/handlers.h"
#include "cmd/list_pop.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/blocked.h"
#include "server/propagation.h"
#include "server/request_keys.h"

/*
 * Lists: the blocking commands. Each is logged as the command that does the same without blocking.
 */

/* The reply of BLPOP and BRPOP: [name, value]. */
static void
pop_named(struct request *rq, struct kv_key *key, struct slice name, enum kv_list_end end)
{
	const struct slice argv[] = {end == KV_LIST_HEAD ? SLICE("LPOP") : SLICE("RPOP"), name};

	resp_put_array(rq->reply, 2);
	resp_put_bulk(rq->reply, name);
	list_pop(rq, key, name, end);
	request_propagate(rq, argv, 2);
}

/* count 0: pop one value and reply as BLPOP does. */
static enum command_result
pop_or_block(
    struct request *rq, const struct block_terms *terms, enum kv_list_end end, uint64_t count)
{
	struct kv_key *key;
	struct slice name;

	if (!blocking_find(rq, terms, &key, &name))
		return COMMAND_DONE;
	if (key == NULL)
		return request_block(rq, terms);
	if (count == 0)
		pop_named(rq, key, name, end);
	else
		list_pop_named(rq, key, name, end, count);
	return COMMAND_DONE;
}

static enum command_result
blocking_pop(struct request *rq, enum kv_list_end end)
{
	struct block_terms terms;

	if (!blocking_parse(rq, KV_LIST, &terms))
		return COMMAND_DONE;
	return pop_or_block(rq, &terms, end, 0);
}

enum command_result
cmd_blpop(struct request *rq)
{
	return blocking_pop(rq, KV_LIST_HEAD);
}

enum command_result
cmd_brpop(struct request *rq)
{
	return blocking_pop(rq, KV_LIST_TAIL);
}

enum command_result
cmd_blmpop(struct request *rq)
{
	struct block_terms terms = {.type = KV_LIST};
	struct list_mpop mpop;

	if (!list_mpop_parse(rq, 2, &mpop) ||
	    !block_timeout_parse(rq, rq->argv[1], &terms.until_us))
		return COMMAND_DONE;
	terms.names = mpop.names;
	terms.count = mpop.name_count;
	return pop_or_block(rq, &terms, mpop.end, (uint64_t)mpop.count);
}

static enum command_result
move_or_block(struct request *rq, struct slice timeout, enum kv_list_end from, enum kv_list_end to)
{
	struct block_terms terms = {
	    .names = &rq->argv[1], .count = 1, .type = KV_LIST, .is_one = true};
	struct kv_key *key;
	void *list;

	if (!block_timeout_parse(rq, timeout, &terms.until_us) ||
	    !key_write_value(rq, rq->argv[1], KV_LIST, &key, &list))
		return COMMAND_DONE;
	if (list == NULL)
		return request_block(rq, &terms);
	if (list_move(rq, key, rq->argv[1], rq->argv[2], from, to)) {
		const struct slice argv[] = {SLICE("LMOVE"), rq->argv[1], rq->argv[2],
		    from == KV_LIST_HEAD ? SLICE("LEFT") : SLICE("RIGHT"),
		    to == KV_LIST_HEAD ? SLICE("LEFT") : SLICE("RIGHT")};

		request_propagate(rq, argv, 5);
	}
	return COMMAND_DONE;
}

enum command_result
cmd_blmove(struct request *rq)
{
	enum kv_list_end from, to;

	if (!list_end_parse(rq, rq->argv[3], &from) || !list_end_parse(rq, rq->argv[4], &to))
		return COMMAND_DONE;
	return move_or_block(rq, rq->argv[5], from, to);
}

enum command_result
cmd_brpoplpush(struct request *rq)
{
	return move_or_block(rq, rq->argv[3], KV_LIST_TAIL, KV_LIST_HEAD);
}
