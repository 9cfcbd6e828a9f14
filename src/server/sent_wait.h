#ifndef SERVER_SENT_WAIT_H
#define SERVER_SENT_WAIT_H

#include <stdint.h>

#include "base/bytes.h"
#include "server/request.h"

/*
 * Waiting for positions: clients whose reply has the position that the upstream gives their message
 * (WAIT_POSITION), and keys of PUBLISHX that are to have it.
 *
 * A client that has sent such a message waits for its answer; the request goes on then, and is not
 * checked again. Clients wait in the order of the numbers of their messages. In transactions and
 * scripts nobody waits, and the reply has no position.
 */
struct hub_outcome;
struct sent_key;
struct server;

/* The request has sent a message: outcome->sent is not 0. Sets rq->waits_for; the handler's result
 * is COMMAND_AGAIN, and its progress is not 0. */
void sent_wait(struct request *rq, const struct hub_outcome *outcome);

/* The request depends on a message that another one has sent: sets rq->waits_for; it is executed
 * again when all messages that were sent until now are answered. */
void sent_wait_for_others(struct request *rq);

/* What became of the request's message, if sent_wait() was called for it: *failure is the error of
 * the upstream, or empty; otherwise NULL. Borrows. */
const struct hub_outcome *sent_wait_result(const struct request *rq, struct slice *failure);

/* The message with this number was published with a key: it is to have its position. Copies. */
void sent_key_add(struct server *server, uint64_t number, struct slice channel, struct slice key);

/* For server_upstream_tell(), before the answers are forgotten. */
void sent_waits_tell(struct server *server);

/* The server ends. */
void sent_keys_release(struct server *server);

#endif
