#ifndef CMD_PUBLISH_CHECK_H
#define CMD_PUBLISH_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acl/user.h"
#include "base/bytes.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub_options.h"
#include "pubsub/subscriber.h"
#include "server/client.h"
#include "server/pause.h"
#include "server/request.h"

/*
 * Publish check: what may refuse a message before the hub matches it. Every command that publishes
 * calls publish_allows() for each of its messages before it publishes the first one, and
 * publish_count() for each message that the hub took. A command that publishes several messages
 * may exceed a rate by them; the messages after it are then refused for longer, so that the mean
 * rate holds.
 *
 * kind is HUB_CHANNEL or HUB_SHARD.
 */

/* For the usual case: false if no limit of the user and no option of any channel can refuse the
 * message or exclude a subscriber from it. Then publish_count() does nothing, and publish_allows()
 * checks the length of the name only. */
static inline bool
publish_is_limited(const struct request *rq)
{
	const uint32_t options = CHANNEL_BIT(no_echo) | CHANNEL_BIT(publish_users) |
				 CHANNEL_BIT(max_message) | CHANNEL_BIT(publish_rate) |
				 CHANNEL_BIT(publish_bytes);

	return rq->client->user->limits.any || rq->server->pause->handed_over ||
	       (hub_options_in_use(rq->server->hub) & options) != 0;
}

/*
 * False after replying with an error: the name is too long, a rate of the user or of the channel is
 * reached, or an option of the channel excludes the user or forbids a message of this length.
 * Counts nothing, so that a request that waits may call it again. Shard channels have no options.
 */
bool publish_allows(struct request *rq, enum hub_kind kind, struct slice channel,
    struct slice message) __attribute__((warn_unused_result));

/* True after replying with an error if the channel keeps messages and its history has passed to the
 * successor of an upgrade: a message would be lost. publish_allows() checks it too; for a message
 * that is published in a later turn it must be checked again. */
bool publish_is_handed_over(struct request *rq, enum hub_kind kind, struct slice channel);

/* Counts a message of len bytes for the rates. */
void publish_count(struct request *rq, enum hub_kind kind, struct slice channel, size_t len);

/* Replies that a channel's name is longer than max-channel-length. */
void channel_name_error(struct request *rq);

/* Returns false after replying with that error if the name is too long. */
bool channel_name_fits(struct request *rq, struct slice name) __attribute__((warn_unused_result));

#endif
