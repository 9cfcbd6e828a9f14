#ifndef CMD_HISTORY_REPLY_H
#define CMD_HISTORY_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/position.h"
#include "server/request.h"

/*
 * The reply with kept messages of channels: of HISTORY RANGE and HISTORY READ. A short one is
 * written at once, a long one is collected and sent by a job, so that a turn stays short.
 */
struct history_reply;

struct history_part {
	struct slice channel;
	uint64_t after_seq; /* messages with a higher seq ... */
	uint64_t upto_seq;  /* ... and at most this one */
	uint64_t count;     /* at most so many of them */
};

/* RANGE: the entries of one channel. READ: for each channel with entries, its name and they, up to
 * about 1 MiB in all. If messages leave the history while a READ collects them the reply is the
 * error "LOST ...". */
enum history_reply_shape { HISTORY_REPLY_RANGE, HISTORY_REPLY_REVERSED, HISTORY_REPLY_READ };

/* Copies parts; of a RANGE there is one. */
void history_reply_send(struct request *rq, enum history_reply_shape shape,
    const struct history_part *parts, size_t count);

#endif
