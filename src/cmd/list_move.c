#include "config.h"

#include "cmd/handlers.h"
#include "cmd/list_pop.h"
#include "resp/writer.h"

/* LMOVE, RPOPLPUSH, LMPOP. Their blocking forms are in cmd/list_blocking.c. */

static enum command_result
move(struct request *rq, enum kv_list_end from, enum kv_list_end to)
{
	struct kv_key *key;
	void *list;

	if (!key_write_value(rq, rq->argv[1], KV_LIST, &key, &list))
		return COMMAND_DONE;
	if (list == NULL)
		resp_put_null(rq->reply, rq->proto);
	else
		(void)list_move(rq, key, rq->argv[1], rq->argv[2], from, to);
	return COMMAND_DONE;
}

enum command_result
cmd_lmove(struct request *rq)
{
	enum kv_list_end from, to;

	if (!list_end_parse(rq, rq->argv[3], &from) || !list_end_parse(rq, rq->argv[4], &to))
		return COMMAND_DONE;
	return move(rq, from, to);
}

enum command_result
cmd_rpoplpush(struct request *rq)
{
	return move(rq, KV_LIST_TAIL, KV_LIST_HEAD);
}

enum command_result
cmd_lmpop(struct request *rq)
{
	struct list_mpop mpop;
	struct kv_key *key;
	void *list;
	size_t i;

	if (!list_mpop_parse(rq, 1, &mpop))
		return COMMAND_DONE;
	for (i = 0; i < mpop.name_count; i++) {
		if (!key_write_value(rq, mpop.names[i], KV_LIST, &key, &list))
			return COMMAND_DONE;
		if (list != NULL) {
			list_pop_named(rq, key, mpop.names[i], mpop.end, (uint64_t)mpop.count);
			return COMMAND_DONE;
		}
	}
	resp_put_null_array(rq->reply, rq->proto);
	return COMMAND_DONE;
}
