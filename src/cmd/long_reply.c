#include "config.h"

#include "cmd/long_reply.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "server/client.h"
#include "server/held.h"
#include "server/request.h"

#define PIECE_BYTES ((size_t)256 << 10)

struct long_reply_piece {
	struct long_reply_piece *next;
	struct buffer bytes;
	bool is_head; /* nothing else goes to it */
};

static struct buffer *
add_piece(struct long_reply *reply, bool is_head)
{
	struct long_reply_piece *piece = xcalloc(1, sizeof(*piece));

	piece->is_head = is_head;
	if (reply->last != NULL)
		reply->last->next = piece;
	else
		reply->first = piece;
	reply->last = piece;
	return &piece->bytes;
}

static void
drop_piece(struct long_reply *reply)
{
	struct long_reply_piece *piece = reply->first;

	reply->first = piece->next;
	if (reply->first == NULL)
		reply->last = NULL;
	buffer_release(&piece->bytes);
	xfree(piece);
}

void
long_reply_release(struct long_reply *reply)
{
	while (reply->first != NULL)
		drop_piece(reply);
}

struct buffer *
long_reply_room(struct long_reply *reply)
{
	struct long_reply_piece *last = reply->last;

	return last != NULL && !last->is_head && last->bytes.len < PIECE_BYTES
		   ? &last->bytes
		   : add_piece(reply, false);
}

struct buffer *
long_reply_head(struct long_reply *reply)
{
	return add_piece(reply, true);
}

size_t
long_reply_len(const struct long_reply *reply)
{
	size_t len = 0;

	for (const struct long_reply_piece *piece = reply->first; piece != NULL;
	     piece = piece->next)
		len += piece->bytes.len;
	return len;
}

/* Each piece is copied only once. */
static void
send_all(struct long_reply *reply, struct job_step *step)
{
	if (step->muted)
		return;
	held_push_reply(step->client, buffer_slice(step->reply));
	buffer_clear(step->reply);
	for (; reply->first != NULL; drop_piece(reply))
		held_push_reply(step->client, buffer_slice(&reply->first->bytes));
}

enum job_state
long_reply_send(struct long_reply *reply, struct job_step *step)
{
	bool is_pushed_to = client_is_pushed_to(step->client);

	if (is_pushed_to && !step->at_once) {
		send_all(reply, step);
		return JOB_DONE;
	}
	for (size_t sent = 0; reply->first != NULL && (is_pushed_to || sent < PIECE_BYTES);) {
		sent += reply->first->bytes.len;
		buffer_append_slice(step->reply, buffer_slice(&reply->first->bytes));
		drop_piece(reply);
	}
	return reply->first != NULL ? JOB_MORE : JOB_DONE;
}

struct job_step
long_reply_first_step(struct request *rq, uint64_t at_once_us)
{
	return (struct job_step){.server = rq->server,
	    .client = rq->client,
	    .reply = rq->reply,
	    .deadline_us = clock_mono_us() + at_once_us,
	    .at_once = true};
}
