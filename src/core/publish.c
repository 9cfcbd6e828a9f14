#include "config.h"

#include "base/alloc.h"
#include "core/options.h"
#include "core/result.h"
#include "core/state.h"

/* Publishing, with and without waiting. */

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

static enum fanfare_result
post(struct fanfare_hub *hub, const struct hub_post *message, struct fanfare_publisher *publisher,
    struct fanfare_outcome *out)
{
	enum fanfare_result allowed = check_length(hub, message->channel, message->payload.len);
	struct hub_outcome outcome;
	enum hub_result result;

	if (allowed != FANFARE_OK)
		return allowed;
	if (publisher != NULL)
		result =
		    hub_post(hub->hub, message, hub->now_us, &publisher->publication, &outcome);
	else
		result = hub_post_now(hub->hub, message, HUB_WITHIN_LIMITS, &outcome);
	/* Its memory is freed, and its place in the order of blocked publishers. */
	if (publisher != NULL && result != HUB_BLOCKED && result != HUB_FULL &&
	    result != HUB_PREPARING)
		hub_end_publication(hub->hub, &publisher->publication);
	if (result == HUB_OK && out != NULL)
		tell(&outcome, out);
	return result_of(result);
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
	(void)core_set_now(hub, now_us);
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
	hub_end_publication(publisher->hub->hub, &publisher->publication);
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
		core_leave(hub);
		return FANFARE_OK;
	}
	core_leave(hub);
	return FANFARE_INVALID;
}
