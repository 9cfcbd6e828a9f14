#ifndef CMD_BLOCKING_H
#define CMD_BLOCKING_H

#include <stdbool.h>

#include "server/blocked.h"

/* Helpers that the blocking commands of lists and of sorted sets share. */

/*
 * Reads the arguments of BLPOP, BZPOPMIN and similar commands: keys, then a timeout. Returns false
 * after replying with an error if the timeout is invalid.
 */
bool blocking_parse(struct request *rq, enum kv_type type, struct block_terms *terms)
    __attribute__((warn_unused_result));

/*
 * Finds the first key of terms that exists, among those for which the handler is called. Its name
 * is borrowed from terms. *key is NULL if there is none: the client has to wait (request_block).
 * Returns false after replying with an error if the key is of another type.
 */
bool blocking_find(struct request *rq, const struct block_terms *terms, struct kv_key **key,
    struct slice *name) __attribute__((warn_unused_result));

#endif
