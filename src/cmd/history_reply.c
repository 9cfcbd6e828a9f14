#include "config.h"

#include "cmd/history_reply.h"

#include <string.h>
#include <sys/queue.h>

#include "acl/check.h"
#include "acl/user.h"
#include "base/alloc.h"
#include "base/clock.h"
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
#define PIECE_BYTES ((size_t)256 << 10)

/* A reply of many MiB in one block would be copied when the block grows. */
struct piece {
	TAILQ_ENTRY(piece) next;
	struct buffer entries; /* encoded */
};

TAILQ_HEAD(pieces, piece);

struct collected {
	struct history_part part; /* what is left of it; the name is owned */
	struct pieces pieces;
	size_t count; /* of entries */
};

struct history_reply {
	enum history_reply_shape shape;
	int proto;
	uint32_t rules_version; /* limits_version when the user was last found to have the rights */
	size_t count;           /* of channels */
	size_t at;              /* the one that is being collected, then sent */
	bool is_collected;
	bool is_begun; /* of the channel that is being sent, the head was sent */
	struct collected channels[];
};

static void
drop_piece(struct collected *c)
{
	struct piece *piece = TAILQ_FIRST(&c->pieces);

	TAILQ_REMOVE(&c->pieces, piece, next);
	buffer_release(&piece->entries);
	xfree(piece);
}

static void
reply_free(void *state)
{
	struct history_reply *reply = state;

	for (size_t i = 0; i < reply->count; i++) {
		while (!TAILQ_EMPTY(&reply->channels[i].pieces))
			drop_piece(&reply->channels[i]);
		xfree((char *)(uintptr_t)reply->channels[i].part.channel.ptr);
	}
	xfree(reply);
}

/* The piece to which the next entry goes. */
static struct buffer *
next_piece(struct collected *c)
{
	struct piece *piece = TAILQ_LAST(&c->pieces, pieces);

	if (piece == NULL || piece->entries.len >= PIECE_BYTES) {
		piece = xcalloc(1, sizeof(*piece));
		TAILQ_INSERT_TAIL(&c->pieces, piece, next);
	}
	return &piece->entries;
}

/* Returns the length of the entry. */
static size_t
put_entry(struct collected *c, uint64_t epoch, const struct ring_message *m)
{
	struct buffer *out = next_piece(c);
	size_t before = out->len;
	char text[POSITION_TEXT_MAX];
	size_t len = position_print(text, (struct hub_position){epoch, m->seq});

	resp_put_array(out, 2);
	resp_put_bulk(out, (struct slice){text, len});
	resp_put_bulk(out, m->payload);
	c->count++;
	c->part.count--;
	return out->len - before;
}

/* Collects messages until the look is over. True: no more are wanted. */
static bool
collect_forward(struct collected *c, uint64_t epoch, const struct ring *ring)
{
	struct ring_iterator it;
	struct ring_message m;
	size_t bytes = 0;

	ring_after(ring, c->part.after_seq, &it);
	for (int n = 0; n < MESSAGES_A_LOOK && bytes < BYTES_A_LOOK; n++) {
		if (c->part.count == 0 || !ring_next(&it, &m) || m.seq > c->part.upto_seq)
			return true;
		bytes += put_entry(c, epoch, &m);
		c->part.after_seq = m.seq;
	}
	return false;
}

static bool
collect_backward(struct collected *c, uint64_t epoch, const struct ring *ring)
{
	struct ring_reverse_iterator it;
	struct ring_message m;
	size_t bytes = 0;

	ring_before(ring, c->part.upto_seq, &it);
	for (int n = 0; n < MESSAGES_A_LOOK && bytes < BYTES_A_LOOK; n++) {
		if (c->part.count == 0 || !ring_previous(&it, &m) || m.seq <= c->part.after_seq)
			return true;
		bytes += put_entry(c, epoch, &m);
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

	if (reply->shape == HISTORY_REPLY_READ && c->part.count > 0 &&
	    !history_can_resume(history, ring, (struct hub_position){epoch, c->part.after_seq}))
		return COLLECTING_LOST;
	if (ring == NULL)
		return COLLECTING_DONE;
	is_done = reply->shape == HISTORY_REPLY_REVERSED ? collect_backward(c, epoch, ring)
							 : collect_forward(c, epoch, ring);
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
put_channel_head(const struct history_reply *reply, struct buffer *out)
{
	const struct collected *c = &reply->channels[reply->at];

	if (reply->shape != HISTORY_REPLY_READ)
		return;
	if (reply->proto == 2)
		resp_put_array(out, 2);
	resp_put_bulk(out, c->part.channel);
	resp_put_array(out, c->count);
}

/* A piece each step, or all at once if a message could be pushed between two pieces. */
static enum job_state
send(struct history_reply *reply, struct job_step *step)
{
	for (; reply->at < reply->count; reply->at++, reply->is_begun = false) {
		struct collected *c = &reply->channels[reply->at];

		while (!TAILQ_EMPTY(&c->pieces)) {
			if (step->reply->len >= PIECE_BYTES && !client_is_pushed_to(step->client))
				return JOB_MORE;
			if (!reply->is_begun)
				put_channel_head(reply, step->reply);
			reply->is_begun = true;
			buffer_append_slice(
			    step->reply, buffer_slice(&TAILQ_FIRST(&c->pieces)->entries));
			drop_piece(c);
		}
	}
	return JOB_DONE;
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
		result = collect(reply, step->server->hub, now_us);
		if (result == COLLECTING_LOST)
			return fail_lost(reply, step);
		if (result == COLLECTING_DONE && ++reply->at == reply->count) {
			reply->is_collected = true;
			reply->at = 0;
			put_head(reply, step->reply);
		}
	}
	return send(reply, step);
}

void
history_reply_send(struct request *rq, enum history_reply_shape shape,
    const struct history_part *parts, size_t count)
{
	static const struct job_kind kind = {"history", reply_step, reply_free};
	struct history_reply *reply =
	    xcalloc(1, sizeof(*reply) + count * sizeof(reply->channels[0]));
	struct job_step step = {
	    rq->server, rq->client, rq->reply, .deadline_us = clock_mono_us() + AT_ONCE_US};

	reply->shape = shape;
	reply->proto = rq->proto;
	reply->rules_version = rq->server->limits_version;
	reply->count = count;
	for (size_t i = 0; i < count; i++) {
		struct slice name = parts[i].channel;

		reply->channels[i].part = parts[i];
		reply->channels[i].part.channel.ptr = xmemdup(name.ptr, name.len);
		TAILQ_INIT(&reply->channels[i].pieces);
	}
	if (reply_step(reply, &step) == JOB_DONE)
		reply_free(reply);
	else
		job_start(rq->server, rq->client, &kind, reply);
}
