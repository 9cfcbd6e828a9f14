#include "config.h"

#include "link/engine.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "link/engine_call.h"
#include "link/engine_channels.h"
#include "link/engine_frame.h"
#include "link/engine_held.h"
#include "link/load_window.h"
#include "pubsub/wire_form.h"
#include "resp/reply.h"

#define PORTION_MESSAGES 256
#define PORTION_BYTES ((size_t)1 << 20)
#define FORGOTTEN_AT_ONCE 1000

#define WRONG_LOAD "the upstream's reply about the history of a channel is not valid"
#define WRONG_CHECK "the upstream's reply about the numbers of channels is not valid"
#define ANEW "the history of the upstream has begun anew"

struct engine {
	const struct engine_ops *ops;
	void *arg;
	enum engine_state state;
	struct engine_shas shas;
	struct engine_channels channels;
	struct hub_position newest; /* everything up to it was delivered; epoch 0: none is known */
	struct buffer run;          /* run_id of the server */
	struct buffer secret;       /* of the frames of kept messages */
	struct load_window window;
	struct engine_held held;
	uint64_t held_to;      /* up to where all is delivered when nothing is held any more */
	uint32_t session;      /* of the connection */
	uint32_t base_session; /* what was loaded in it or later has all messages up to `newest` */
	struct engine_figures figures;
};

struct engine *
engine_new(const struct engine_ops *ops, void *arg)
{
	struct engine *engine = xcalloc(1, sizeof(*engine));

	engine->ops = ops;
	engine->arg = arg;
	engine_channels_init(&engine->channels);
	return engine;
}

static struct engine_channel *
find(const struct engine *engine, struct slice name)
{
	return engine_channels_find(&engine->channels, name);
}

void
engine_free(struct engine *engine)
{
	if (engine == NULL)
		return;
	engine_channels_release(&engine->channels);
	engine_held_release(&engine->held);
	buffer_release(&engine->run);
	buffer_release(&engine->secret);
	xfree(engine);
}

enum engine_state
engine_state_of(const struct engine *engine)
{
	return engine->state;
}

static void
advance(struct engine *engine, enum engine_event event)
{
	engine->state = engine_next(engine->state, event);
}

/* The greeting */

const char *
engine_take_script(struct engine *engine, enum engine_script script, const struct resp_value *value)
{
	return engine_take_sha(value, engine->shas.text[script]);
}

void
engine_opened(struct engine *engine, struct slice run)
{
	buffer_clear(&engine->run);
	buffer_append_slice(&engine->run, run);
}

void
engine_write_greeting(struct engine *engine, struct buffer *out)
{
	char secret[ENGINE_SECRET_LEN + 1];
	struct engine_hello hello = {.run = buffer_slice(&engine->run),
	    .newest = engine->newest,
	    .newest_seq = engine->ops->newest_seq(engine->arg),
	    .secret = secret};

	snprintf(secret, sizeof(secret), "%016" PRIx64 "%016" PRIx64,
	    engine->ops->random(engine->arg), engine->ops->random(engine->arg));
	engine_put_greet(out, &engine->shas, &hello);
}

static void
begin_anew(struct engine *engine, struct hub_position position)
{
	engine_channels_clear(&engine->channels);
	engine->newest = position;
	engine->base_session = engine->session;
	engine->figures.anew++;
	engine->ops->begins(engine->arg, position);
	advance(engine, ENGINE_GREETED_ANEW);
}

const char *
engine_take_greeting(struct engine *engine, const struct resp_value *value)
{
	struct engine_greeting greeting;

	if (!engine_greeting_read(value, &greeting))
		return "the upstream's reply about its history is not valid";
	if ((greeting.is_same && greeting.newest.epoch != engine->newest.epoch) ||
	    greeting.newest.seq < engine->ops->newest_seq(engine->arg))
		return "the upstream's reply about its history is not valid";
	buffer_clear(&engine->secret);
	buffer_append_slice(&engine->secret, greeting.secret);
	engine->ops->holes(engine->arg, greeting.holes, greeting.hole_count);
	load_window_open(&engine->window);
	engine->session++;
	engine->held_to = 0;
	engine->figures.quiet_us = greeting.quiet_us;
	if (greeting.is_same)
		advance(engine, ENGINE_GREETED_AGAIN);
	else
		begin_anew(engine, greeting.newest);
	return NULL;
}

void
engine_lost(struct engine *engine)
{
	engine_held_release(&engine->held);
	advance(engine, ENGINE_LOST);
}

/* Messages */

static void
move_to(struct engine *engine, uint64_t seq)
{
	if (seq <= engine->newest.seq)
		return;
	engine->newest.seq = seq;
	engine->ops->moved(engine->arg, seq);
}

static bool
is_loaded(const struct engine *engine, const struct engine_channel *channel)
{
	return channel != NULL && channel->session == engine->session;
}

/* channel: that of the name, or NULL. */
static void
deliver(struct engine *engine, struct engine_channel *channel, struct slice name,
    const struct engine_frame *frame)
{
	bool is_kept = is_loaded(engine, channel);
	uint64_t seq = frame->position.seq;

	if (is_kept)
		channel->number = frame->number;
	if (!frame->deletes)
		engine->ops->message(engine->arg, name, frame->payload, seq, is_kept);
	else if (is_kept)
		engine->ops->deleted(engine->arg, name, seq);
	move_to(engine, seq);
}

static const char *
hold(struct engine *engine, struct slice name, const struct engine_frame *frame)
{
	if (engine->held.bytes > ENGINE_HELD_BYTES) {
		engine->newest.epoch = 0;
		return "more was missed than this node can hold: its history begins anew";
	}
	engine_held_add(&engine->held, name, frame);
	return NULL;
}

/* Whether the message comes behind all that are held. */
static bool
is_newest_held(const struct engine *engine, uint64_t seq)
{
	const struct engine_held *held = &engine->held;

	return held->count == 0 || held->items[held->count - 1]->seq < seq;
}

static enum engine_taking
take_held(
    struct engine *engine, struct slice name, const struct engine_frame *frame, const char **why)
{
	if (engine->state == ENGINE_DELIVERING && !is_newest_held(engine, frame->position.seq))
		return ENGINE_COPY;
	*why = hold(engine, name, frame);
	return *why == NULL ? ENGINE_TOOK : ENGINE_WRONG;
}

enum engine_taking
engine_take_message(
    struct engine *engine, struct slice name, struct slice message, const char **why)
{
	struct engine_channel *channel;
	struct engine_frame frame;

	switch (engine_frame_read(message, buffer_slice(&engine->secret), &frame)) {
	case ENGINE_FRAME_NONE:
		return ENGINE_PLAIN;
	case ENGINE_FRAME_FORGED:
		return ENGINE_FORGED;
	case ENGINE_FRAME_BAD:
		*why = "the upstream sent a kept message without a valid position";
		return ENGINE_WRONG;
	case ENGINE_FRAME_READ:
		break;
	}
	if (frame.position.epoch != engine->newest.epoch) {
		*why = ANEW;
		return ENGINE_WRONG;
	}
	if (frame.position.seq <= engine->newest.seq)
		return ENGINE_COPY;
	if (engine->state != ENGINE_LIVE)
		return take_held(engine, name, &frame, why);
	channel = find(engine, name);
	/* If the engine had forgotten the channel, which was silent, it has begun again. */
	if (is_loaded(engine, channel) && frame.number != channel->number + !frame.deletes &&
	    frame.number != frame.position.seq * 2) {
		*why = "a message of a channel is missing";
		return ENGINE_WRONG;
	}
	deliver(engine, channel, name, &frame);
	return ENGINE_TOOK;
}

const struct engine_shas *
engine_shas_of(const struct engine *engine)
{
	return &engine->shas;
}

void
engine_write_delete(
    struct engine *engine, struct slice channel, uint64_t ttl_ms, struct buffer *out)
{
	engine_put_delete(out, &engine->shas, channel, ttl_ms);
}

/* Loading */

/* While it catches up: what was loaded on an earlier connection is complete up to `newest`. */
static bool
is_known(const struct engine *engine, const struct engine_channel *channel)
{
	return channel != NULL && channel->session >= engine->base_session && !channel->is_partial;
}

size_t
engine_load_room(const struct engine *engine)
{
	return load_window_room(&engine->window);
}

/* Of a channel that is loaded, and has all its messages here, nothing comes: only the newest seq of
 * the engine is wanted. */
static bool
has_all(const struct engine *engine, struct slice channel)
{
	if (engine->state == ENGINE_CATCHING_UP)
		return is_known(engine, find(engine, channel));
	return is_loaded(engine, find(engine, channel)) &&
	       engine->ops->has_history(engine->arg, channel);
}

void
engine_write_load(struct engine *engine, struct slice channel, struct buffer *out)
{
	struct engine_limits limits = {1, 1}; /* of a channel that has stopped to keep messages */

	(void)engine->ops->keeps(engine->arg, channel, &limits);
	engine_put_load(out, &engine->shas, channel, &limits,
	    has_all(engine, channel) ? engine->newest.seq : 0);
	load_window_send(&engine->window);
}

void
engine_skip_load(struct engine *engine)
{
	load_window_skip(&engine->window);
}

/* Gives the channel those messages of the load that are behind no message which is held. Returns
 * their number. */
static size_t
give(struct engine *engine, const struct engine_load *load, uint64_t upto_seq)
{
	struct hub_loaded_message *messages = xcalloc(load->count + 1, sizeof(*messages));
	struct hub_loaded loaded = engine_load_upto(load, upto_seq, messages);

	engine->ops->loaded(engine->arg, &loaded);
	xfree(messages);
	return loaded.count;
}

static const char *
hold_all(struct engine *engine, const struct engine_load *load, size_t from)
{
	const char *why = NULL;

	if (load->mark.deletes && load->mark.position.seq > engine->newest.seq)
		why = hold(engine, load->channel, &load->mark);
	for (size_t i = from; i < load->count && why == NULL; i++)
		why = hold(engine, load->channel, &load->messages[i]);
	engine->figures.filled += load->count - from;
	return why;
}

/* Before the messages of the load. Returns the number of the newest message that is missing. */
static uint64_t
hold_gap(struct engine *engine, const struct engine_load *load, uint64_t count)
{
	uint64_t seq = load->number == 0 ? load->floor_seq /* it is forgotten */
		       : load->count > 0 ? load->messages[0].position.seq - 1
					 : load->channel_seq;
	/* No number is above twice the seq. */
	uint64_t number = load->number == 0 ? seq * 2 : engine_load_before(load);

	if (count != WIRE_MISSED_UNKNOWN)
		engine->figures.lost += count;
	engine_held_add_gap(&engine->held, seq, number, count, load->channel);
	return number;
}

static const char *
catch_up_with(struct engine *engine, const struct engine_load *load)
{
	struct engine_channel *channel = find(engine, load->channel);
	bool was_known = is_known(engine, channel) && load->after_seq == engine->newest.seq;
	uint64_t missed, gap = 0;
	size_t given = 0;

	if (engine->held_to < load->newest.seq)
		engine->held_to = load->newest.seq;
	if (is_loaded(engine, channel)) /* it was asked for again; newer messages are held */
		return NULL;
	if (was_known) {
		missed = engine_load_missed(load, channel->number, engine->newest.seq);
		if (missed > 0)
			gap = hold_gap(engine, load, missed);
		else if (load->count == 0 && load->number > 0)
			channel->number = load->number;
	} else {
		if (channel != NULL)
			engine->ops->forgotten(engine->arg, load->channel);
		given = give(engine, load, engine->newest.seq);
		if (engine_load_complete_seq(load) > engine->newest.seq)
			gap = hold_gap(engine, load, WIRE_MISSED_UNKNOWN);
	}
	channel = engine_channels_put(&engine->channels, load->channel, engine->session);
	channel->gap = gap;
	channel->is_partial = !was_known && gap > 0;
	channel->is_told = was_known && channel->is_told;
	if (!was_known)
		channel->number = gap > 0 ? 0 : engine_load_before(load) + given;
	return hold_all(engine, load, given);
}

static void
load_live(struct engine *engine, const struct engine_load *load)
{
	struct engine_channel *channel = find(engine, load->channel);
	bool was_known = is_loaded(engine, channel);

	move_to(engine, load->newest.seq);
	if (!was_known || !engine->ops->has_history(engine->arg, load->channel)) {
		if (channel != NULL)
			engine->ops->forgotten(engine->arg, load->channel);
		(void)give(engine, load, load->newest.seq);
	}
	channel = engine_channels_put(&engine->channels, load->channel, engine->session);
	channel->is_partial = false;
	channel->is_told = was_known && channel->is_told;
	channel->number = load->number;
	channel->gap = 0;
}

const char *
engine_take_load(struct engine *engine, const struct resp_value *value)
{
	struct engine_load load;
	const char *why = NULL;

	if (!engine_load_read(value, &load))
		return WRONG_LOAD;
	load_window_take(&engine->window, load.count, load.bytes);
	if (load.newest.epoch != engine->newest.epoch)
		why = ANEW;
	else if (load.newest.seq < engine->newest.seq)
		why = "the positions of the upstream have gone back";
	else if (engine->state == ENGINE_CATCHING_UP)
		why = catch_up_with(engine, &load);
	else if (engine->state == ENGINE_LIVE)
		load_live(engine, &load);
	else
		why = WRONG_LOAD;
	engine_load_release(&load);
	return why;
}

bool
engine_has(const struct engine *engine, struct slice channel)
{
	return is_loaded(engine, find(engine, channel));
}

bool
engine_confirmed(struct engine *engine, struct slice name)
{
	struct engine_channel *channel = find(engine, name);
	bool was_told;

	if (!is_loaded(engine, channel))
		return false;
	was_told = channel->is_told;
	channel->is_told = true;
	return was_told;
}

bool
engine_is_told(const struct engine *engine, struct slice name)
{
	const struct engine_channel *channel = find(engine, name);

	return is_loaded(engine, channel) && channel->is_told;
}

void
engine_left(struct engine *engine, struct slice name)
{
	struct engine_channel *channel = find(engine, name);

	if (channel == NULL)
		return;
	engine->ops->forgotten(engine->arg, name);
	engine_channels_remove(&engine->channels, channel);
}

/* Catching up */

void
engine_joined(struct engine *engine)
{
	if (engine->state != ENGINE_CATCHING_UP)
		return;
	engine_held_sort(&engine->held);
	engine->base_session = engine->session;
	advance(engine, ENGINE_JOINED);
}

static void
deliver_held(struct engine *engine, const struct engine_held_item *item)
{
	struct engine_channel *channel = find(engine, item->channel);

	if (item->count == 0 && (item->seq <= engine->newest.seq ||
				    (is_loaded(engine, channel) && item->number <= channel->gap)))
		return;
	if (item->count == 0) {
		const struct engine_frame frame = engine_held_frame(item);

		deliver(engine, channel, item->channel, &frame);
		return;
	}
	move_to(engine, item->seq);
	if (!is_loaded(engine, channel) || channel->number >= item->number)
		return;
	channel->number = item->number;
	channel->is_partial = false;
	engine->ops->missed(engine->arg, item->channel, item->seq, item->count);
}

/* Channels that nobody has joined on this connection. */
static void
forget_some(struct engine *engine)
{
	struct engine_channel *channel;

	for (int i = 0; i < FORGOTTEN_AT_ONCE; i++) {
		channel = engine_channels_older(&engine->channels, engine->session);
		if (channel == NULL)
			return;
		engine->ops->forgotten(engine->arg, engine_channel_name(channel));
		engine_channels_remove(&engine->channels, channel);
	}
}

bool
engine_work(struct engine *engine)
{
	const struct engine_held_item *item = NULL;
	size_t bytes = 0;

	if (engine->state == ENGINE_LIVE)
		forget_some(engine);
	if (engine->state != ENGINE_DELIVERING)
		return false;
	for (int i = 0; i < PORTION_MESSAGES && bytes < PORTION_BYTES; i++) {
		item = engine_held_take(&engine->held);
		if (item == NULL)
			break;
		bytes += item->payload.len;
		deliver_held(engine, item);
	}
	if (item != NULL)
		return true;
	move_to(engine, engine->held_to);
	advance(engine, ENGINE_DELIVERED);
	return false;
}

/* Checks */

void
engine_write_check(struct engine *engine, struct buffer *out)
{
	bool is_ready = engine->state == ENGINE_LIVE &&
			engine_channels_older(&engine->channels, engine->session) == NULL;
	size_t count = is_ready ? engine_channels_count(&engine->channels) : 0;

	if (count > ENGINE_CHECKED)
		count = ENGINE_CHECKED;
	engine_put_check(out, &engine->shas, count);
	for (size_t i = 0; i < count; i++) {
		const struct engine_channel *channel = engine_channels_rotate(&engine->channels);

		engine_put_checked(out, engine_channel_name(channel), channel->number);
	}
}

/* [epoch, secret, channel, number, ...]. All messages before the reply have come. */
const char *
engine_take_check(struct engine *engine, const struct resp_value *value)
{
	uint64_t epoch, number;

	if (value->type != RESP_TYPE_ARRAY || value->count < 2 || value->count % 2 != 0 ||
	    !slice_to_u64(value->items[0].text, &epoch))
		return WRONG_CHECK;
	if (epoch != engine->newest.epoch ||
	    !slice_eq(value->items[1].text, buffer_slice(&engine->secret)))
		return ANEW;
	for (size_t i = 2; i < value->count && engine->state == ENGINE_LIVE; i += 2) {
		const struct engine_channel *channel = find(engine, value->items[i].text);

		if (!slice_to_u64(value->items[i + 1].text, &number))
			return WRONG_CHECK;
		/* 0: it was forgotten, because it was silent. */
		if (is_loaded(engine, channel) && number != 0 && number != channel->number)
			return "a message of a channel is missing";
	}
	return NULL;
}

struct engine_figures
engine_figures(const struct engine *engine)
{
	struct engine_figures figures = engine->figures;

	figures.position = engine->newest;
	figures.channels = engine_channels_count(&engine->channels);
	return figures;
}
