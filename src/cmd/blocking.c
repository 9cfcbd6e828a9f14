#include "config.h"

#include "cmd/blocking.h"

#include "server/request_keys.h"

bool
blocking_parse(struct request *rq, enum kv_type type, struct block_terms *terms)
{
	*terms = (struct block_terms){.names = &rq->argv[1], .count = rq->argc - 2, .type = type};
	return block_timeout_parse(rq, rq->argv[rq->argc - 1], &terms->until_us);
}

bool
blocking_find(
    struct request *rq, const struct block_terms *terms, struct kv_key **key, struct slice *name)
{
	size_t first = rq->ready != NULL ? rq->ready->at : 0;
	size_t end = rq->ready != NULL ? first + 1 : terms->count;

	*key = NULL;
	for (size_t i = first; i < end && *key == NULL; i++) {
		*name = terms->names[i];
		*key = key_write(rq, *name);
	}
	return key_is_of(rq, *key, terms->type);
}
