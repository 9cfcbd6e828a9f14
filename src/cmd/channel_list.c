#include "config.h"

#include "cmd/channel_list.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/glob.h"
#include "cmd/long_reply.h"
#include "cmd/publish_check.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/job.h"
#include "server/request.h"

/*
 * A list of channels is built within the request if that takes no longer than this, otherwise by a
 * job.
 */
#define AT_ONCE_US 500
#define CHANNELS_A_LOOK 64
#define PART_BYTES ((size_t)64 << 10)

/* The names are collected first, because the reply begins with their number. */
struct list {
	channel_list_next *next;
	bool has_pattern;
	bool any_seen;
	bool gathered;
	struct buffer pattern;
	struct buffer last; /* name of the channel seen last */
	struct long_reply names;
	size_t count;
};

static void
list_free(void *state)
{
	struct list *list = state;

	long_reply_release(&list->names);
	buffer_release(&list->pattern);
	buffer_release(&list->last);
	xfree(list);
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
	size_t looked = 0;
	bool is_wanted;

	while (list->next(c, name, &name, &is_wanted)) {
		if (is_wanted &&
		    (!list->has_pattern || glob_match(buffer_slice(&list->pattern), name, false))) {
			resp_put_bulk(long_reply_room(&list->names), name);
			list->count++;
		}
		if (++looked % CHANNELS_A_LOOK == 0 && clock_mono_us() >= deadline_us) {
			list->any_seen = true;
			buffer_clear(&list->last);
			buffer_append_slice(&list->last, name);
			return false;
		}
	}
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
	}
	return long_reply_send(&list->names, step);
}

bool
channel_list_check(struct request *rq)
{
	if (rq->argc <= 3)
		return rq->argc < 3 || channel_name_fits(rq, rq->argv[2]);
	request_subcommand_syntax_error(rq);
	return false;
}

/* Takes list. */
static void
begin(struct request *rq, struct list *list)
{
	static const struct job_kind job = {"list of channels", list_step, list_free};
	struct job_step step = long_reply_first_step(rq, AT_ONCE_US);

	if (list_step(list, &step) == JOB_DONE)
		list_free(list);
	else
		job_start(rq->server, rq->client, &job, list);
}

void
channel_list_put(struct request *rq, struct slice names, size_t count)
{
	struct list *list = xcalloc(1, sizeof(*list));

	list->gathered = true;
	resp_put_array(long_reply_head(&list->names), count);
	while (names.len > 0) {
		struct slice part = {names.ptr, names.len < PART_BYTES ? names.len : PART_BYTES};

		buffer_append_slice(long_reply_room(&list->names), part);
		names.ptr += part.len;
		names.len -= part.len;
	}
	begin(rq, list);
}

enum command_result
channel_list(struct request *rq, channel_list_next *next)
{
	struct list *list;

	if (!channel_list_check(rq))
		return COMMAND_DONE;
	list = xcalloc(1, sizeof(*list));
	list->next = next;
	list->has_pattern = rq->argc == 3;
	if (list->has_pattern)
		buffer_append_slice(&list->pattern, rq->argv[2]);
	begin(rq, list);
	return COMMAND_DONE;
}
