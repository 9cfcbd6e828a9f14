#ifndef CMD_LONG_REPLY_H
#define CMD_LONG_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "server/job.h"

/*
 * Long reply: bytes that a job gathered, sent piece by piece, because to copy and write some
 * MiB in one turn holds the loop.
 */
struct long_reply {
	struct buffer bytes;
	size_t sent;
};

void long_reply_release(struct long_reply *reply);

/*
 * Adds the next piece to step->reply, or all that is left if something may be pushed to the client
 * between two pieces. JOB_DONE when all was added; else to be called again in the next step.
 */
enum job_state long_reply_send(struct long_reply *reply, struct job_step *step);

#endif
