#ifndef CMD_POSITION_ERRORS_H
#define CMD_POSITION_ERRORS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "pubsub/position.h"
#include "server/request.h"

/* Errors about positions in the history, for RESUME, SUBSCRIBE and HISTORY. */

/* Replies that the argument is no position of the forms in `allowed`. */
void position_error(struct request *rq, struct slice arg, const char *allowed);

/* Reads where a reader begins. Returns false after replying with an error. */
bool position_read_since(struct request *rq, struct slice arg, struct position_since *since)
    __attribute__((warn_unused_result));

/* "LOST channel 'x' has ...": the position cannot be continued. Returns the length. */
#define POSITION_LOST_MAX 256
size_t position_lost_text(
    char out[POSITION_LOST_MAX], struct slice channel, struct hub_position since);
void position_lost_error(struct request *rq, struct slice channel, struct hub_position since);

#endif
