#include "config.h"

#include "cmd/publish_check.h"

#include <inttypes.h>

#include "acl/limits.h"
#include "acl/user.h"
#include "pubsub/hub.h"
#include "server/client.h"
#include "server/request.h"
#include "server/server_config.h"

void
channel_name_error(struct request *rq)
{
	request_error(rq, "ERR channel name too long (max-channel-length %" PRIu32 ")",
	    rq->server->config->hub.name_bytes);
}

/*
 * A name that is too long to be subscribed to is refused, because matching patterns against all of
 * it would take long.
 */
bool
publish_allows(struct request *rq, enum hub_kind kind, struct slice channel, struct slice message)
{
	const struct acl_user *user = rq->client->user;

	(void)kind;
	(void)message;
	if (user->limits.any && !acl_rate_allows(&user->rate, &user->limits, rq->now_us)) {
		request_error(rq, "ERR max publish rate of this user reached");
		return false;
	}
	if (channel.len > rq->server->config->hub.name_bytes) {
		channel_name_error(rq);
		return false;
	}
	return true;
}

void
publish_count(struct request *rq, enum hub_kind kind, struct slice channel, size_t len)
{
	struct acl_user *user = rq->client->user;

	(void)kind;
	(void)channel;
	if (user->limits.any)
		acl_rate_count(&user->rate, &user->limits, len, rq->now_us);
}
