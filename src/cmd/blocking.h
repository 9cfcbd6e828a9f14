#ifndef CMD_BLOCKING_H
#define CMD_BLOCKING_H

#include <stdbool.h>

#include "server/blocked.h"

/* What the blocking commands of lists and of sorted sets have in common. */

/* The terms of BLPOP, BZPOPMIN and the like: keys, then a timeout. False: the timeout is invalid,
 * which is answered. */
bool blocking_parse(struct request *rq, enum kv_type type, struct block_terms *terms)
    __attribute__((warn_unused_result));

/*
 * The first key of terms that exists, of those that the handler is called for, and its name, which
 * is borrowed from terms. *key is NULL if there is none: the client has to wait (request_block).
 * False: the key is of another type, which is answered.
 */
bool blocking_find(struct request *rq, const struct block_terms *terms, struct kv_key **key,
    struct slice *name) __attribute__((warn_unused_result));

#endif
