#ifndef LINK_PUSH_H
#define LINK_PUSH_H

#include "base/bytes.h"
#include "pubsub/wire_form.h"

/* Push: what the upstream sends that is not a reply, and confirmations of subscriptions. */
struct resp_value;

enum link_push_what {
	PUSH_OTHER, /* "invalidate", or a kind that is not known yet */
	PUSH_BAD,   /* it has other items than its kind has */
	PUSH_MESSAGE,
	PUSH_SUBSCRIBED,
	PUSH_UNSUBSCRIBED,
	PUSH_LAGGED, /* of another fanfared: it left out messages for this connection */
};

struct link_push {
	enum link_push_what what;
	enum hub_kind kind;
	struct slice name;    /* a message's channel */
	struct slice by;      /* of a message: the channel or pattern that it came by */
	struct slice payload; /* of a message */
};

/* Borrows value, a push. */
struct link_push link_push_read(const struct resp_value *value);

#endif
