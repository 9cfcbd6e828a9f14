#ifndef LINK_LEAF_STATE_H
#define LINK_LEAF_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rate_limit.h"
#include "link/leaf_config.h"
#include "link/link.h"
#include "link/refusal.h"
#include "pubsub/hub.h"
#include "server/upstream.h"

/* The state of a leaf. For the files of leaf.h only. */

struct engine_claims;

struct leaf {
	struct upstream upstream;    /* the first member: the server knows the leaf by it */
	struct hub_interest watcher; /* of the hub */
	struct server *server;
	const struct leaf_settings *settings;
	struct leaf_io io;
	struct link_config config;
	struct link *link;
	char *address, *user, *password;
	struct rate_limit log_limit;  /* of what the upstream refuses */
	char error[LINK_ERROR_MAX];   /* why the connection ended last */
	uint64_t logged_us;           /* when that was logged */
	uint64_t changed_us;          /* when the link went up or down */
	uint64_t missed;              /* messages that could not be delivered here */
	uint64_t now_us;              /* of the call in progress */
	bool has_held_up;             /* publishers wait */
	uint64_t patient_until_us;    /* see leaf_awaits_history(); 0: not any more; UINT64_MAX: the
					 first turn sets it */
	struct engine_claims *claims; /* owned; NULL: the upstream is no engine */
	struct hub_position claimed;  /* see leaf_claims_post() */
	bool has_own_history; /* of an earlier process, or of messages that were delivered here
				 while the link was down: it lacks what was published at the
				 upstream meanwhile */
};

/* What waits to be sent. Above settings->queued_bytes a publisher waits; when less than half is
 * queued it goes on. */
static inline size_t
leaf_queued_bytes(const struct leaf *leaf)
{
	return link_queued_bytes(leaf->link) + leaf->io.queued_bytes(leaf->io.arg);
}

#endif
