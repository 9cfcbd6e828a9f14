#ifndef EDGE_SUBSCRIPTIONS_H
#define EDGE_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "edge/command.h"

/* The subscriptions of WebSockets. For this layer only. */
struct buffer;
struct edge_session;

/* Subscribes to the channels of the token; appends ,"subs":{...} to the result. */
enum edge_outcome edge_subscribe_granted(struct edge_command *command);

/* The session's rights changed: ends the subscriptions that it may not have any more, and appends
 * the frames that tell so, for behind the replies of the step: one of them may have begun a
 * subscription. */
void edge_subscriptions_check(struct edge_session *s, struct buffer *out);

/* Ends the subscriptions whose own tokens have ended. */
void edge_subscriptions_expire(struct edge_session *s, uint64_t now_us);

/* True if a token of its own allows this subscription, and still do the rules of the user that the
 * token names. */
bool edge_subscription_is_leased(const struct edge_session *s, struct slice name, bool is_pattern);

#endif
