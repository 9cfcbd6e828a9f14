#include "config.h"

#include "cmd/handlers.h"
#include "cmd/zset_pop.h"
#include "resp/writer.h"
#include "server/request.h"

/* ZPOPMIN, ZPOPMAX, ZMPOP. Their blocking forms are in cmd/zset_blocking.c. */

static enum command_result
pop(struct request *rq, enum zset_end end)
{
	int64_t count = 1;
	struct kv_key *key;

	if (rq->argc > 3) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (rq->argc == 3 && (!slice_to_i64(rq->argv[2], &count) || count < 0)) {
		request_error(rq, "ERR value is out of range, must be positive");
		return COMMAND_DONE;
	}
	if (!zset_pop_find(rq, &rq->argv[1], 1, &key))
		return COMMAND_DONE;
	if (key == NULL || count == 0)
		resp_put_array(rq->reply, 0);
	else
		zset_pop(rq, key, end, (size_t)count,
		    rq->argc == 3 && rq->proto >= 3 ? ZSET_POP_PAIRS : ZSET_POP_FLAT);
	return COMMAND_DONE;
}

enum command_result
cmd_zpopmin(struct request *rq)
{
	return pop(rq, ZSET_MIN);
}

enum command_result
cmd_zpopmax(struct request *rq)
{
	return pop(rq, ZSET_MAX);
}

enum command_result
cmd_zmpop(struct request *rq)
{
	struct zset_mpop mpop;
	struct kv_key *key;

	if (!zset_mpop_parse(rq, 1, &mpop) ||
	    !zset_pop_find(rq, &rq->argv[mpop.first_key], mpop.key_count, &key))
		return COMMAND_DONE;
	if (key == NULL)
		resp_put_null_array(rq->reply, rq->proto);
	else
		zset_pop(rq, key, mpop.end, mpop.count, ZSET_POP_KEY_PAIRS);
	return COMMAND_DONE;
}
