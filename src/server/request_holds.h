#ifndef SERVER_REQUEST_HOLDS_H
#define SERVER_REQUEST_HOLDS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/client.h"
#include "server/held.h"
#include "server/journal.h"
#include "server/pause.h"
#include "server/request.h"
#include "server/scripts.h"
#include "server/transaction.h"

/* What keeps a request from being executed at once, though it is allowed. On the path of each
 * message, so the usual answer is found without a call. */

/* The flags of its command; EXEC has those of its commands too. */
static inline uint32_t
request_flags(const struct request *rq)
{
	const struct transaction *t = client_transaction(rq->client);

	if (t == NULL || (rq->command->flags & CMD_EXEC) == 0)
		return rq->command->flags;
	return rq->command->flags | t->flags;
}

/* The flags of its command; EVAL of a script that says that it does not write has none that pauses
 * writes. */
uint32_t request_flags_of_script(const struct request *rq);

/* For request_is_busy(): a script is suspended. */
bool request_refuse_if_busy(struct request *rq);

/* True after replying with an error, if a script has run for too long. */
static inline bool
request_is_busy(struct request *rq)
{
	return scripts_are_suspended(rq->server) && request_refuse_if_busy(rq);
}

/* For request_is_paused(): something is paused. */
bool request_is_of_pause(const struct request *rq);

/* It waits for the end of a pause (pause.h). */
static inline bool
request_is_paused(const struct request *rq)
{
	return server_is_paused(rq->server, rq->now_us) && request_is_of_pause(rq);
}

/*
 * While replies are held, a command that does more than reply (SUBSCRIBE, HELLO, PUBLISH) waits
 * until they are sent, so that its effects do not precede them. It also waits for a change of its
 * client whose reply CLIENT REPLY dropped. A write waits while the disk does not keep up. If
 * replies are held for the upstream only, further messages follow the earlier ones there.
 */
static inline bool
request_waits_for_disk(const struct request *rq)
{
	const struct client *c = rq->client;
	uint32_t flags = request_flags(rq);

	if (rq->server->journal->is_crowded && (flags & CMD_WRITE) != 0)
		return true;
	if (held_is_empty(c) && !held_is_unsynced(c))
		return false;
	if (held_is_full(c))
		return true;
	if (!held_is_unsynced(c) && command_publishes(rq->command) && client_door(c) == NULL)
		return false;
	return (flags & (CMD_PUBSUB | CMD_ADMIN | CMD_NO_AUTH)) != 0;
}

#endif
