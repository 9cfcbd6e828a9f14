#ifndef LINK_ENGINE_CLAIMS_H
#define LINK_ENGINE_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "link/engine_claims_ops.h"
#include "pubsub/position.h"
#include "pubsub/queue_claims.h"

/*
 * Engine claims: which messages of a queue group are for the members at this node, if nodes of an
 * engine have members of the same group.
 *
 * Each message has a seq, which is unique. Nodes claim it at the engine, and the first one gets it.
 * So that not the fastest node gets all, one node is preferred for each seq, with a chance that is
 * as large as its share of the members; it claims at once, the others after a while, in case that
 * it is gone. A group at one node only claims at once. Members at a node get their messages in the
 * order of the seqs: what is won waits until it is known who has what was published before it.
 *
 * A message that a node has claimed is not given to another one: if the node fails it is lost, as
 * it is if a client fails that has received it.
 *
 * It writes commands and takes replies (engine_script.h); it knows no hub and reads no clock. Times
 * are monotonic, in us.
 */
struct engine_claims;
struct engine_shas;
struct resp_value;

/* Messages that wait, of all groups; further ones are refused. */
#define ENGINE_CLAIMS_WAITING ((size_t)100000)
#define ENGINE_CLAIMS_BYTES ((size_t)64 << 20)

/* A message is another node's share, or members have no room: so long the node leaves it to others.
 */
#define ENGINE_CLAIMS_PATIENCE_US ((uint64_t)100000)
#define ENGINE_CLAIMS_FULL_US ((uint64_t)500000)
#define ENGINE_CLAIMS_LOOK_US ((uint64_t)10000) /* between two questions about a message */
#define ENGINE_CLAIMS_HEARD_US                                                                     \
	((uint64_t)10000000)                       /* how often a node says that it has members    \
						    */
#define ENGINE_CLAIMS_RETRY_US ((uint64_t)1000000) /* after an error */
#define ENGINE_CLAIMS_NODES 1024                   /* with members of one group */

/* Borrows ops; copies the name of the node, which is that of its process. Returns owned
 * (engine_claims_free). */
struct engine_claims *engine_claims_new(
    const struct engine_claims_ops *ops, void *arg, const char *node);
void engine_claims_free(struct engine_claims *claims); /* NULL is allowed */

/* The group has so many members now; 0: what waits for it is dropped. */
void engine_claims_set(struct engine_claims *claims, const struct queue_claims_group *group);

/*
 * Keeps a message back for the group, which need not be known. position: at the engine; its seq is
 * above those before. ttl_ms: how long the engine is to keep claims at least. False: too much
 * waits; the message was counted as missed. Copies.
 */
bool engine_claims_add(struct engine_claims *claims, const struct queue_claims_group *group,
    const struct queue_claims_message *message, struct hub_position position, uint64_t ttl_ms,
    uint64_t now_us) __attribute__((warn_unused_result));

/* The link is up: writes the commands that are due, and returns their number. */
size_t engine_claims_write(struct engine_claims *claims, const struct engine_shas *shas,
    uint64_t now_us, struct buffer *out);

/* The reply to the next of them, maybe an error. NULL, or why the connection is of no use. */
const char *engine_claims_take(
    struct engine_claims *claims, const struct resp_value *value, uint64_t now_us);

void engine_claims_lost(struct engine_claims *claims); /* the connection */

/* Delivers a portion of what is decided. True: there is more. */
bool engine_claims_work(struct engine_claims *claims);

/* When engine_claims_write() has something to write. */
uint64_t engine_claims_due_us(const struct engine_claims *claims);

struct engine_claims_figures engine_claims_figures(const struct engine_claims *claims);

#endif
