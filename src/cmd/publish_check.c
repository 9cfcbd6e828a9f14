#include "config.h"

#include "cmd/publish_check.h"

#include <inttypes.h>

#include "acl/limits.h"
#include "acl/user.h"
#include "pubsub/channel_options.h"
#include "pubsub/channel_rates.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "server/access.h"
#include "server/client.h"
#include "server/pause.h"
#include "server/request.h"
#include "server/server_config.h"

#define RATE_OPTIONS (CHANNEL_BIT(publish_rate) | CHANNEL_BIT(publish_bytes))

void
channel_name_error(struct request *rq)
{
	request_error(rq, "ERR channel name too long (max-channel-length %" PRIu32 ")",
	    rq->server->config->hub.name_bytes);
}

bool
channel_name_fits(struct request *rq, struct slice name)
{
	if (name.len <= rq->server->config->hub.name_bytes)
		return true;
	channel_name_error(rq);
	return false;
}

/* The options of the channel; NULL if it has none of those in `wanted`. Valid until the next call.
 */
static const struct channel_options *
options_of(const struct request *rq, enum hub_kind kind, struct slice channel, uint32_t wanted)
{
	struct hub *hub = rq->server->hub;

	if (kind != HUB_CHANNEL || (hub_options_in_use(hub) & wanted) == 0)
		return NULL;
	return hub_options_of(hub, channel);
}

static bool
is_short_enough(struct request *rq, const struct channel_options *options, size_t len)
{
	if (options->max_message == 0 || len <= options->max_message)
		return true;
	request_error(rq, "ERR message too long for this channel (max-message %" PRIu64 ")",
	    options->max_message);
	return false;
}

/* False if the channel has no rate. */
static bool
rate_of(const struct channel_options *options, struct channel_rate *rate)
{
	*rate = (struct channel_rate){
	    .messages = (uint32_t)options->publish_rate, .bytes = options->publish_bytes};
	return rate->messages > 0 || rate->bytes > 0;
}

static bool
is_within_rate(struct request *rq, const struct channel_options *options, struct slice channel)
{
	size_t max = rq->server->config->rated_channels;
	struct channel_rate rate;

	if (!rate_of(options, &rate))
		return true;
	switch (channel_rates_check(rq->server->channel_rates, channel, &rate, max, rq->now_us)) {
	case CHANNEL_RATE_OPEN:
		return true;
	case CHANNEL_RATE_REACHED:
		request_error(rq, "ERR max publish rate of this channel reached");
		return false;
	case CHANNEL_RATE_NO_ROOM:
		break;
	}
	request_error(rq,
	    "ERR max number of channels with a publish rate reached (max-rated-channels %zu)", max);
	return false;
}

bool
publish_is_handed_over(struct request *rq, enum hub_kind kind, struct slice channel)
{
	if (kind != HUB_CHANNEL || !rq->server->pause->handed_over ||
	    !hub_keeps(rq->server->hub, channel))
		return false;
	request_error(rq, PAUSE_HANDED_OVER);
	return true;
}

/*
 * A name that is too long to be subscribed to is refused, because matching patterns against all of
 * it would take long.
 */
bool
publish_allows(struct request *rq, enum hub_kind kind, struct slice channel, struct slice message)
{
	const struct acl_user *user = rq->client->user;
	uint32_t in_use = hub_options_in_use(rq->server->hub);
	const struct channel_options *options;

	if (channel.len > rq->server->config->hub.name_bytes) {
		channel_name_error(rq);
		return false;
	}
	if (!publish_is_limited(rq))
		return true;
	if (user->limits.any && !acl_rate_allows(&user->rate, &user->limits, rq->now_us)) {
		request_error(rq, "ERR max publish rate of this user reached");
		return false;
	}
	if (kind != HUB_CHANNEL)
		return true;
	if ((in_use & CHANNEL_BIT(publish_users)) != 0 && !access_may_publish(rq, channel))
		return false;
	if (publish_is_handed_over(rq, kind, channel))
		return false;
	options = options_of(rq, kind, channel, CHANNEL_BIT(max_message) | RATE_OPTIONS);
	return options == NULL ||
	       (is_short_enough(rq, options, message.len) && is_within_rate(rq, options, channel));
}

void
publish_count(struct request *rq, enum hub_kind kind, struct slice channel, size_t len)
{
	struct acl_user *user = rq->client->user;
	const struct channel_options *options;
	struct channel_rate rate;

	if (user->limits.any)
		acl_rate_count(&user->rate, &user->limits, len, rq->now_us);
	options = options_of(rq, kind, channel, RATE_OPTIONS);
	if (options != NULL && rate_of(options, &rate))
		channel_rates_count(rq->server->channel_rates, channel, &rate,
		    rq->server->config->rated_channels, len, rq->now_us);
}
