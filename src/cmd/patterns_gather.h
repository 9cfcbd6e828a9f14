#ifndef CMD_PATTERNS_GATHER_H
#define CMD_PATTERNS_GATHER_H

#include <stdbool.h>

#include "base/bytes.h"
#include "pubsub/hub_gather.h"
#include "server/command.h"

/* The gather (pubsub/hub_gather.h) of a PRESUME or PSUBSCRIBE in progress, in slices. It belongs to
 * the client's pending request. */
struct request;

/* An error text repeats at most this many bytes of a channel or pattern. */
#define GATHER_SHOWN_MAX 128

/* Channels for all patterns of a command: PSUBSCRIBE begins with all of them in one turn, at less
 * than a microsecond each. */
#define GATHER_CHANNELS_MAX 8192

/* HUB_GATHER_MORE: the slice is over, return COMMAND_AGAIN. In a transaction, where there are no
 * slices, the work is limited: then it replies with an error, and the result means nothing. */
enum hub_gather_result gather_go_on(struct request *rq);

/* True while enough others gather: return COMMAND_AGAIN and begin in a later turn. */
bool gather_has_to_wait(const struct request *rq);

/* Frees it. */
void gather_end(struct request *rq);

/*
 * For PSUBSCRIBE, in each of its turns: gathers for all its armed patterns, if there are any.
 * COMMAND_AGAIN: the slice is over. COMMAND_DONE: they may be subscribed to in this turn, or the
 * reply is an error (rq->failed).
 */
enum command_result gather_armed(struct request *rq) __attribute__((warn_unused_result));

/* As hub_subscribe() with HUB_PATTERN. An armed pattern, which gather_armed() has gathered for,
 * begins where it was armed, and is not armed any more. */
enum hub_result gather_subscribe(struct request *rq, struct slice pattern)
    __attribute__((warn_unused_result));

#endif
