#ifndef LINK_COPIES_H
#define LINK_COPIES_H

#include <stdbool.h>

#include "pubsub/wire_form.h"

/*
 * Copies: which pushes of a connection are copies of the message before.
 *
 * A server sends a message once for its channel and once for each pattern that matches, one behind
 * the other. So a push with the channel and the payload of the push before is a copy of the same
 * message, unless it came by the same subscription as the first of them: then the message was
 * published again. The same subscriptions match as long as none was added or removed.
 */
struct resp_value;

struct link_copies {
	struct resp_value *first; /* owned: the first push of the newest message, or NULL */
	enum hub_kind kind;       /* of that push */
};

/*
 * *value is a push of this kind, with items as in RESP3. True if it is a copy. If it is the first
 * of a message it is kept: *value is then NULL, and its bytes are valid until the next call.
 */
bool link_copies_is_copy(struct link_copies *copies, enum hub_kind kind, struct resp_value **value);

/* A subscription was added or removed, or the connection has ended. */
void link_copies_reset(struct link_copies *copies);

#endif
