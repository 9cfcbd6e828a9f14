#include "config.h"

#include "base/alloc.h"
#include "base/siphash.h"
#include "core/options.h"
#include "core/result.h"
#include "core/state.h"

/* Publishing, with and without waiting. */

/* Of a payload so many bytes are hashed at its beginning and at its end: a large one is published
 * again for each part that is copied. */
#define HASHED_BYTES ((size_t)16 << 10)

/* Whether the hub and the channel allow a message of that length. */
static enum fanfare_result
check_length(struct fanfare_hub *hub, struct slice channel, size_t len)
{
	uint64_t most = hub->message_max;

	if (channel.len > hub->limits.name_bytes)
		return FANFARE_NAME_TOO_LONG;
	if ((hub_options_in_use(hub->hub) & CHANNEL_BIT(max_message)) != 0) {
		uint64_t own = hub_options_of(hub->hub, channel)->max_message;

		if (own > 0 && own < most)
			most = own;
	}
	return len <= most ? FANFARE_OK : FANFARE_TOO_LARGE;
}

static void
tell(const struct hub_outcome *from, struct fanfare_outcome *to)
{
	*to = (struct fanfare_outcome){
	    .receivers = from->receivers,
	    .queued = from->queued,
	    .catching_up = from->catching_up,
	    .position = {from->position.epoch, from->position.seq},
	};
}

static struct core_message_id
id_of(const struct hub_post *message)
{
	const uint64_t *key = siphash_process_key();
	struct slice payload = message->payload;
	size_t len = payload.len < HASHED_BYTES ? payload.len : HASHED_BYTES;
	uint64_t hashes[3] = {
	    siphash(key, message->channel.ptr, message->channel.len),
	    siphash(key, payload.ptr, len),
	    siphash(key, payload.ptr + payload.len - len, len),
	};

	return (struct core_message_id){
	    message->channel.len, payload.len, siphash(key, hashes, sizeof(hashes))};
}

/* Whether the publisher may publish it now: only the message that it waits with, if it does. */
static bool
may_publish(const struct fanfare_publisher *publisher, const struct hub_post *message)
{
	struct core_message_id id;

	if (publisher == NULL || !publisher->is_waiting)
		return true;
	id = id_of(message);
	return id.channel_len == publisher->message.channel_len &&
	       id.payload_len == publisher->message.payload_len &&
	       id.hash == publisher->message.hash;
}

/* What an empty round does. No publisher is to be tried again, so room() is not called. */
void
core_free_room(struct fanfare_hub *hub)
{
	if (hub->waiting > 0 || hub->is_in_round)
		return;
	hub->room_asked = true;
	hub_begin_round(hub->hub);
	hub_end_round(hub->hub);
	hub->room_asked = false;
}

/* Its memory is freed, and its place in the order of blocked publishers. */
static void
end_publication(struct fanfare_publisher *publisher)
{
	struct fanfare_hub *hub = publisher->hub;

	hub_end_publication(hub->hub, &publisher->publication);
	if (!publisher->is_waiting)
		return;
	publisher->is_waiting = false;
	hub->waiting--;
	core_free_room(hub);
}

/* After an attempt. FANFARE_FULL leaves a publisher that waits its place. */
static void
settle(
    struct fanfare_publisher *publisher, const struct hub_post *message, enum fanfare_result result)
{
	if (result == FANFARE_FULL)
		return;
	if (result != FANFARE_BLOCKED && result != FANFARE_PREPARING) {
		end_publication(publisher);
	} else if (!publisher->is_waiting) {
		publisher->is_waiting = true;
		publisher->hub->waiting++;
		publisher->message = id_of(message);
	}
}

static enum fanfare_result
post(struct fanfare_hub *hub, const struct hub_post *message, struct fanfare_publisher *publisher,
    struct fanfare_outcome *out)
{
	enum fanfare_result result = check_length(hub, message->channel, message->payload.len);
	struct hub_outcome outcome;

	if (!may_publish(publisher, message))
		return FANFARE_INVALID;
	if (result == FANFARE_OK)
		result = result_of(publisher != NULL ? hub_post(hub->hub, message, hub->now_us,
							   &publisher->publication, &outcome)
						     : hub_post_now(hub->hub, message,
							   HUB_WITHIN_LIMITS, &outcome));
	if (publisher != NULL)
		settle(publisher, message, result);
	if (result == FANFARE_OK && out != NULL)
		tell(&outcome, out);
	return result;
}

enum fanfare_result
fanfare_post(struct fanfare_hub *hub, const struct fanfare_post *given, uint64_t now_us,
    struct fanfare_outcome *outcome)
{
	struct fanfare_post p;
	struct hub_post message = {.kind = HUB_CHANNEL};
	enum fanfare_result result;

	if (hub == NULL || !options_copy(&p, sizeof(p), given) || !core_are_bytes(p.channel) ||
	    !core_are_bytes(p.payload) || now_us >= CORE_NOW_END ||
	    (p.except != NULL && p.except->hub != hub) ||
	    (p.publisher != NULL && p.publisher->hub != hub))
		return FANFARE_INVALID;
	if (!core_enter(hub))
		return FANFARE_BUSY;
	core_set_now(hub, now_us);
	core_note_use(hub);
	message.channel = core_slice(p.channel);
	message.payload = core_slice(p.payload);
	message.except = p.except != NULL ? &p.except->base : NULL;
	result = post(hub, &message, p.publisher, outcome);
	core_leave(hub);
	return result;
}

enum fanfare_result
fanfare_publish(struct fanfare_hub *hub, struct fanfare_bytes channel, struct fanfare_bytes payload,
    uint64_t now_us, struct fanfare_outcome *outcome)
{
	struct fanfare_post p = {.size = sizeof(p), .channel = channel, .payload = payload};

	return fanfare_post(hub, &p, now_us, outcome);
}

enum fanfare_result
fanfare_publisher_new(struct fanfare_hub *hub, struct fanfare_publisher **out)
{
	struct fanfare_publisher *publisher;

	if (hub == NULL || out == NULL)
		return FANFARE_INVALID;
	if (!core_enter(hub))
		return FANFARE_BUSY;
	publisher = xcalloc(1, sizeof(*publisher));
	publisher->hub = hub;
	LIST_INSERT_HEAD(&hub->publishers, publisher, link);
	core_leave(hub);
	*out = publisher;
	return FANFARE_OK;
}

enum fanfare_result
fanfare_publisher_end(struct fanfare_publisher *publisher)
{
	if (publisher == NULL)
		return FANFARE_OK;
	if (!core_enter(publisher->hub))
		return FANFARE_BUSY;
	end_publication(publisher);
	core_leave(publisher->hub);
	return FANFARE_OK;
}

enum fanfare_result
fanfare_publisher_free(struct fanfare_publisher *publisher)
{
	enum fanfare_result result = fanfare_publisher_end(publisher);

	if (publisher == NULL || result != FANFARE_OK)
		return result;
	LIST_REMOVE(publisher, link);
	xfree(publisher);
	return FANFARE_OK;
}

enum fanfare_result
fanfare_hub_begin_round(struct fanfare_hub *hub)
{
	if (hub == NULL)
		return FANFARE_INVALID;
	if (!core_enter(hub))
		return FANFARE_BUSY;
	core_leave(hub);
	if (hub->is_in_round)
		return FANFARE_INVALID;
	hub->is_in_round = true;
	hub->room_asked = false;
	hub_begin_round(hub->hub);
	return FANFARE_OK;
}

enum fanfare_result
fanfare_hub_end_round(struct fanfare_hub *hub)
{
	if (hub == NULL)
		return FANFARE_INVALID;
	if (!core_enter(hub))
		return FANFARE_BUSY;
	if (hub->is_in_round) {
		hub->is_in_round = false;
		hub_end_round(hub->hub);
		core_free_room(hub);
		core_leave(hub);
		return FANFARE_OK;
	}
	core_leave(hub);
	return FANFARE_INVALID;
}
