#ifndef EDGE_SUBSCRIPTIONS_H
#define EDGE_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "edge/commands.h"

/* The subscriptions of WebSockets. For this layer only. */
struct edge_session;

/* A channel as a WebSocket names it: with ws-glob-prefix it is a pattern. */
struct edge_channel {
	struct slice shown; /* as sent */
	struct slice name;
	bool is_pattern;
};
struct edge_channel edge_channel_of(const struct edge_session *s, struct slice shown);

/* Subscribes to the channels of the token; appends ,"subs":{...} to the result. */
enum edge_outcome edge_subscribe_granted(struct edge_command *command);

/* The session's rights changed: ends the subscriptions that it may not have any more. */
void edge_subscriptions_check(struct edge_session *s);

/* Ends the subscriptions whose own tokens have ended. */
void edge_subscriptions_expire(struct edge_session *s, uint64_t now_us);

/* True if a token of its own allows this subscription. */
bool edge_subscription_is_leased(const struct edge_session *s, struct slice name, bool is_pattern);

#endif
