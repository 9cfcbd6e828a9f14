#include "config.h"

#include "cmd/history_reply.h"

#include "acl/check.h"
#include "acl/user.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "cmd/long_reply.h"
#include "cmd/position_errors.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/job.h"
#include "server/statistics.h"

#define AT_ONCE_US 1000     /* the work done within the request, before it becomes a job */
#define MESSAGES_A_LOOK 64  /* between two looks at the clock; or ... */
#define BYTES_A_LOOK 262144 /* ... this many bytes */

/* A reader goes on behind what it got, so the reply to a READ need not have everything: it has
 * about so many bytes, the same number for each channel, and of each at least one message. */
#define READ_BYTES ((size_t)1 << 20)

struct collected {
	struct history_part part; /* what is left of it; the name is owned */
	size_t count;             /* of entries */
	size_t bytes_left;        /* of entries that may still be collected */
};

/* All is collected before the first byte is sent, because the numbers of entries come first. */
struct history_reply {
	enum history_reply_shape shape;
	int proto;
	uint32_t rules_version; /* limits_version when the user was last found to have the rights */
	size_t count;           /* of channels */
	size_t at;              /* the one that is being collected */
	bool is_collected;
	struct long_reply entries; /* of each channel its head, and its entries */
	struct buffer *head;       /* of this channel; NULL: not begun */
	struct collected channels[];
};

static void
reply_free(void *state)
{
	struct history_reply *reply = state;

	long_reply_release(&reply->entries);
	for (size_t i = 0; i < reply->count; i++)
		xfree((char *)(uintptr_t)reply->channels[i].part.channel.ptr);
	xfree(reply);
}

/* Returns the length of the entry. */
static size_t
put_entry(struct history_reply *reply, uint64_t epoch, const struct ring_message *m)
{
	struct collected *c = &reply->channels[reply->at];
	struct buffer *out = long_reply_room(&reply->entries);
	size_t before = out->len, len;
	char text[POSITION_TEXT_MAX];

	resp_put_array(out, 2);
	resp_put_bulk(
	    out, (struct slice){text, position_print(text, (struct hub_position){epoch, m->seq})});
	resp_put_bulk(out, m->payload);
	len = out->len - before;
	c->count++;
	c->part.count--;
	c->bytes_left -= len < c->bytes_left ? len : c->bytes_left;
	return len;
}

/* Collects messages until the look is over. True: no more are wanted. */
static bool
collect_forward(struct history_reply *reply, uint64_t epoch, const struct ring *ring)
{
	struct collected *c = &reply->channels[reply->at];
	struct ring_iterator it;
	struct ring_message m;
	size_t bytes = 0;

	ring_after(ring, c->part.after_seq, &it);
	for (int n = 0; n < MESSAGES_A_LOOK && bytes < BYTES_A_LOOK; n++) {
		if (c->part.count == 0 || c->bytes_left == 0 || !ring_next(&it, &m) ||
		    m.seq > c->part.upto_seq)
			return true;
		bytes += put_entry(reply, epoch, &m);
		c->part.after_seq = m.seq;
	}
	return false;
}

static bool
collect_backward(struct history_reply *reply, uint64_t epoch, const struct ring *ring)
{
	struct collected *c = &reply->channels[reply->at];
	struct ring_reverse_iterator it;
	struct ring_message m;
	size_t bytes = 0;

	ring_before(ring, c->part.upto_seq, &it);
	for (int n = 0; n < MESSAGES_A_LOOK && bytes < BYTES_A_LOOK; n++) {
		if (c->part.count == 0 || !ring_previous(&it, &m) || m.seq <= c->part.after_seq)
			return true;
		bytes += put_entry(reply, epoch, &m);
		c->part.upto_seq = m.seq - 1;
	}
	return false;
}

enum collecting { COLLECTING_MORE, COLLECTING_DONE, COLLECTING_LOST };

/* One look at one channel. */
static enum collecting
collect(struct history_reply *reply, struct hub *hub, uint64_t now_us)
{
	struct collected *c = &reply->channels[reply->at];
	struct history *history = hub_history(hub);
	uint64_t epoch = history_position(history).epoch;
	const struct ring *ring = hub_ring(hub, c->part.channel, now_us);
	bool is_done;

	if (reply->shape == HISTORY_REPLY_READ && c->part.count > 0 && c->bytes_left > 0 &&
	    !history_can_resume(history, ring, (struct hub_position){epoch, c->part.after_seq}))
		return COLLECTING_LOST;
	if (ring == NULL)
		return COLLECTING_DONE;
	if (c->part.after_seq < history_complete_seq(history, ring))
		c->part.after_seq = history_complete_seq(history, ring);
	is_done = reply->shape == HISTORY_REPLY_REVERSED ? collect_backward(reply, epoch, ring)
							 : collect_forward(reply, epoch, ring);
	return is_done ? COLLECTING_DONE : COLLECTING_MORE;
}

static bool
has_rights(struct history_reply *reply, const struct client *c)
{
	if (reply->rules_version == c->server->limits_version || c->user->unrestricted)
		return true;
	reply->rules_version = c->server->limits_version;
	for (size_t i = 0; i < reply->count; i++)
		if (!acl_may_receive(c->user, reply->channels[i].part.channel, false))
			return false;
	return true;
}

static enum job_state
fail(struct job_step *step, struct slice text)
{
	statistics_count_error(step->server->statistics, text);
	resp_put_error(step->reply, text);
	return JOB_DONE;
}

static enum job_state
fail_lost(struct history_reply *reply, struct job_step *step)
{
	const struct collected *c = &reply->channels[reply->at];
	struct hub_position since = history_position(hub_history(step->server->hub));
	char text[POSITION_LOST_MAX];
	size_t len;

	since.seq = c->part.after_seq;
	len = position_lost_text(text, c->part.channel, since);
	return fail(step, (struct slice){text, len});
}

static void
put_head(struct history_reply *reply, struct buffer *out)
{
	size_t with_entries = 0;

	if (reply->shape != HISTORY_REPLY_READ) {
		resp_put_array(out, reply->channels[0].count);
		return;
	}
	for (size_t i = 0; i < reply->count; i++)
		with_entries += reply->channels[i].count > 0;
	if (with_entries == 0)
		resp_put_null_array(out, reply->proto);
	else if (reply->proto == 3)
		resp_put_map(out, 3, with_entries);
	else
		resp_put_array(out, with_entries);
}

static void
put_channel_head(const struct history_reply *reply)
{
	const struct collected *c = &reply->channels[reply->at];

	if (reply->shape != HISTORY_REPLY_READ || c->count == 0)
		return;
	if (reply->proto == 2)
		resp_put_array(reply->head, 2);
	resp_put_bulk(reply->head, c->part.channel);
	resp_put_array(reply->head, c->count);
}

static enum job_state
reply_step(void *state, struct job_step *step)
{
	struct history_reply *reply = state;

	if (!reply->is_collected && !has_rights(reply, step->client))
		return fail(step, SLICE("NOPERM this user has no permissions to access one of the "
					"channels used as arguments"));
	while (!reply->is_collected) {
		uint64_t now_us = clock_mono_us();
		enum collecting result;

		if (now_us >= step->deadline_us)
			return JOB_MORE;
		if (reply->head == NULL)
			reply->head = long_reply_head(&reply->entries);
		result = collect(reply, step->server->hub, now_us);
		if (result == COLLECTING_LOST)
			return fail_lost(reply, step);
		if (result == COLLECTING_MORE)
			continue;
		put_channel_head(reply);
		reply->head = NULL;
		if (++reply->at == reply->count) {
			reply->is_collected = true;
			put_head(reply, step->reply);
		}
	}
	return long_reply_send(&reply->entries, step);
}

void
history_reply_send(struct request *rq, enum history_reply_shape shape,
    const struct history_part *parts, size_t count)
{
	static const struct job_kind kind = {"history", reply_step, reply_free};
	struct history_reply *reply =
	    xcalloc(1, sizeof(*reply) + count * sizeof(reply->channels[0]));
	struct job_step step = long_reply_first_step(rq, AT_ONCE_US);

	reply->shape = shape;
	reply->proto = rq->proto;
	reply->rules_version = rq->server->limits_version;
	reply->count = count;
	for (size_t i = 0; i < count; i++) {
		struct slice name = parts[i].channel;

		reply->channels[i].part = parts[i];
		reply->channels[i].part.channel.ptr = xmemdup(name.ptr, name.len);
		reply->channels[i].bytes_left =
		    shape == HISTORY_REPLY_READ ? READ_BYTES / count : SIZE_MAX;
	}
	if (reply_step(reply, &step) == JOB_DONE)
		reply_free(reply);
	else
		job_start(rq->server, rq->client, &kind, reply);
}
