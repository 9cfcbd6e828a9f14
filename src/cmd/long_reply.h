#ifndef CMD_LONG_REPLY_H
#define CMD_LONG_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "server/job.h"

/*
 * Long reply: bytes that a job collected, sent piece by piece, because copying and writing some MiB
 * in one turn would block the loop.
 */
struct long_reply {
	struct buffer bytes;
	size_t sent;
};

void long_reply_release(struct long_reply *reply);

/*
 * Appends the next piece to step->reply, or all remaining bytes if a message could be pushed to the
 * client between two pieces. Returns JOB_DONE when all bytes are appended; otherwise the caller
 * calls it again in the next step.
 */
enum job_state long_reply_send(struct long_reply *reply, struct job_step *step);

#endif
