#include "config.h"

#include "cmd/blocking.h"
#include "cmd/handlers.h"
#include "cmd/zset_pop.h"
#include "kv/keyspace.h"
#include "server/blocked.h"

/*
 * Sorted sets: the blocking commands. Each is logged as the command that does the same without
 * blocking.
 */

static enum command_result
pop_or_block(struct request *rq, const struct block_terms *terms, enum zset_end end, size_t count,
    enum zset_pop_form form)
{
	struct kv_key *key;
	struct slice name;

	if (!blocking_find(rq, terms, &key, &name))
		return COMMAND_DONE;
	if (key == NULL)
		return request_block(rq, terms);
	zset_pop(rq, key, end, count, form);
	return COMMAND_DONE;
}

static enum command_result
blocking_pop(struct request *rq, enum zset_end end)
{
	struct block_terms terms;

	if (!blocking_parse(rq, KV_ZSET, &terms))
		return COMMAND_DONE;
	return pop_or_block(rq, &terms, end, 1, ZSET_POP_KEY_FLAT);
}

enum command_result
cmd_bzpopmin(struct request *rq)
{
	return blocking_pop(rq, ZSET_MIN);
}

enum command_result
cmd_bzpopmax(struct request *rq)
{
	return blocking_pop(rq, ZSET_MAX);
}

enum command_result
cmd_bzmpop(struct request *rq)
{
	struct block_terms terms = {.type = KV_ZSET};
	struct zset_mpop mpop;

	if (!zset_mpop_parse(rq, 2, &mpop) ||
	    !block_timeout_parse(rq, rq->argv[1], &terms.until_us))
		return COMMAND_DONE;
	terms.names = &rq->argv[mpop.first_key];
	terms.count = mpop.key_count;
	return pop_or_block(rq, &terms, mpop.end, mpop.count, ZSET_POP_KEY_PAIRS);
}
