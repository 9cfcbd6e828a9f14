#ifndef SERVER_NUMBER_ARGS_H
#define SERVER_NUMBER_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "server/command.h"

/*
 * Numbers among the arguments of commands, with Redis's errors where they are none. It knows no key.
 * All return false where they answered with an error.
 */

/* "ERR value is not an integer or out of range" */
bool arg_to_i64(struct request *rq, struct slice arg, int64_t *out)
    __attribute__((warn_unused_result));

enum arg_time { ARG_SECONDS, ARG_MILLISECONDS, ARG_UNIX_SECONDS, ARG_UNIX_MILLISECONDS };

/* When something ends, in ms of Unix time: of SETEX, SET EX and their kin, where it must be more than 0.
 * "ERR invalid expire time in 'setex' command" */
bool arg_to_end(struct request *rq, struct slice arg, enum arg_time unit, int64_t *end_ms)
    __attribute__((warn_unused_result));

#endif
