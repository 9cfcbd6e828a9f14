#ifndef CMD_LONG_REPLY_H
#define CMD_LONG_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "server/job.h"

/*
 * Long reply: bytes that a job collected, sent piece by piece, because copying and writing some MiB
 * in one turn would block the loop. They are collected in pieces as well, because one block would
 * be copied each time it grows.
 */
struct long_reply_piece;
struct request;

/* Begins as {0}. */
struct long_reply {
	struct long_reply_piece *first, *last;
};

void long_reply_release(struct long_reply *reply);

/* Where the next bytes are appended, some KiB at a time; valid until the next call. */
struct buffer *long_reply_room(struct long_reply *reply);

/* The same, but it stays valid until long_reply_send(), for a head that is written when the number
 * of what follows it is known. */
struct buffer *long_reply_head(struct long_reply *reply);

size_t long_reply_len(const struct long_reply *reply); /* of what is not sent yet */

/*
 * Appends the next pieces to step->reply; or, if a message could be pushed to the client between
 * two pieces, sends step->reply and all of them. Returns JOB_DONE when all bytes are appended;
 * otherwise the caller calls it again in the next step.
 */
enum job_state long_reply_send(struct long_reply *reply, struct job_step *step);

/*
 * The step of a job that begins within the request, for at most that time: what it returns JOB_DONE
 * for needs no job. Its reply is that of the request.
 */
struct job_step long_reply_first_step(struct request *rq, uint64_t at_once_us);

#endif
