#include "config.h"

#include "cmd/channel_list.h"

#include <sys/queue.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/glob.h"
#include "cmd/publish_check.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/held.h"
#include "server/job.h"
#include "server/request.h"

/*
 * A list of channels is built within the request if that takes no longer than this, otherwise by a
 * job.
 */
#define AT_ONCE_US 500
#define CHANNELS_A_LOOK 64

/* Names are collected in pieces of this size, and the reply is sent piece by piece. */
#define PIECE_BYTES 262144

struct piece {
	STAILQ_ENTRY(piece) next;
	struct buffer names; /* encoded as in the reply */
};

/*
 * The names are collected first, because the reply begins with their number. Then they are sent in
 * pieces, or all at once if a message could be pushed between two pieces.
 */
struct list {
	channel_list_next *next;
	bool has_pattern;
	bool any_seen;
	bool gathered;
	struct buffer pattern;
	struct buffer last; /* name of the channel seen last */
	STAILQ_HEAD(pieces, piece) pieces;
	size_t count;
};

static void
drop_first_piece(struct list *list)
{
	struct piece *piece = STAILQ_FIRST(&list->pieces);

	STAILQ_REMOVE_HEAD(&list->pieces, next);
	buffer_release(&piece->names);
	xfree(piece);
}

static void
list_free(void *state)
{
	struct list *list = state;

	while (!STAILQ_EMPTY(&list->pieces))
		drop_first_piece(list);
	buffer_release(&list->pattern);
	buffer_release(&list->last);
	xfree(list);
}

static void
add_name(struct list *list, struct piece **last, struct slice name)
{
	if (*last == NULL || (*last)->names.len >= PIECE_BYTES) {
		*last = xcalloc(1, sizeof(**last));
		STAILQ_INSERT_TAIL(&list->pieces, *last, next);
	}
	resp_put_bulk(&(*last)->names, name);
	list->count++;
}

/* The name may be empty, and then has no memory. */
static struct slice
seen_last(const struct list *list)
{
	if (!list->any_seen)
		return (struct slice){NULL, 0};
	return list->last.len > 0 ? buffer_slice(&list->last) : SLICE("");
}

/* Returns false if the time is up before the end. */
static bool
gather(struct list *list, struct client *c, uint64_t deadline_us)
{
	struct slice name = seen_last(list);
	struct piece *last = NULL; /* each step begins a new piece */
	size_t looked = 0;
	bool is_wanted;

	while (list->next(c, name, &name, &is_wanted)) {
		if (is_wanted &&
		    (!list->has_pattern || glob_match(buffer_slice(&list->pattern), name, false)))
			add_name(list, &last, name);
		if (++looked % CHANNELS_A_LOOK == 0 && clock_mono_us() >= deadline_us) {
			list->any_seen = true;
			buffer_clear(&list->last);
			buffer_append_slice(&list->last, name);
			return false;
		}
	}
	return true;
}

/* Sends the header and all names; each piece is copied only once. */
static void
give_whole(struct list *list, struct job_step *step)
{
	if (step->muted)
		return;
	held_push_reply(step->client, buffer_slice(step->reply));
	buffer_clear(step->reply);
	for (; !STAILQ_EMPTY(&list->pieces); drop_first_piece(list))
		held_push_reply(step->client, buffer_slice(&STAILQ_FIRST(&list->pieces)->names));
}

/* Appends one piece to the reply; false if there is none left. */
static bool
give_piece(struct list *list, struct buffer *reply)
{
	if (STAILQ_EMPTY(&list->pieces))
		return false;
	buffer_append_slice(reply, buffer_slice(&STAILQ_FIRST(&list->pieces)->names));
	drop_first_piece(list);
	return true;
}

static enum job_state
list_step(void *state, struct job_step *step)
{
	struct list *list = state;

	if (!list->gathered) {
		if (!gather(list, step->client, step->deadline_us))
			return JOB_MORE;
		list->gathered = true;
		resp_put_array(step->reply, list->count);
		if (client_is_pushed_to(step->client) && !step->at_once) {
			give_whole(list, step);
			return JOB_DONE;
		}
	}
	return give_piece(list, step->reply) ? JOB_MORE : JOB_DONE;
}

enum command_result
channel_list(struct request *rq, channel_list_next *next)
{
	static const struct job_kind job = {"list of channels", list_step, list_free};
	struct list *list;

	if (rq->argc > 3) {
		request_subcommand_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (rq->argc == 3 && !channel_name_fits(rq, rq->argv[2]))
		return COMMAND_DONE;
	list = xcalloc(1, sizeof(*list));
	STAILQ_INIT(&list->pieces);
	list->next = next;
	list->has_pattern = rq->argc == 3;
	if (list->has_pattern)
		buffer_append_slice(&list->pattern, rq->argv[2]);
	if (!gather(list, rq->client, clock_mono_us() + AT_ONCE_US)) {
		job_start(rq->server, rq->client, &job, list);
		return COMMAND_DONE;
	}
	resp_put_array(rq->reply, list->count);
	while (give_piece(list, rq->reply))
		continue;
	list_free(list);
	return COMMAND_DONE;
}
