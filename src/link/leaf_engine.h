#ifndef LINK_LEAF_ENGINE_H
#define LINK_LEAF_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* What a leaf does for and with an engine (engine.h): its hub follows the engine's history. */
struct channel_options;
struct engine_message;
struct engine_ops;
struct hub_post;
struct leaf;
struct upstream_name;

extern const struct engine_ops leaf_engine_ops; /* for a leaf */

/* Whether the engine is to be asked for what it keeps of the channel, which is subscribed to. A
 * position that this node has not seen may be one that another node has. */
bool leaf_needs_history(struct leaf *leaf, const struct upstream_name *name);

/* The engine was asked for the channel before the client came, whose position may be of a later
 * message: the answer does not tell whether it is. */
bool leaf_was_asked_too_early(const struct leaf *leaf, const struct upstream_name *name);

/* The link was lost, or this node started, a moment ago: a client that needs what is not here waits
 * for it to be made again instead of being told that it has lost messages. After a restart of the
 * engine that takes up to 10 s there is one more attempt within this time (base/backoff.h). */
#define LEAF_PATIENCE_US ((uint64_t)12000000)
bool leaf_awaits_history(struct leaf *leaf, const struct upstream_name *name);

/* Names that the engine was asked for wait until what was missed is delivered. */
bool leaf_is_catching_up(const struct leaf *leaf);

/* What the engine keeps of the message's channel; NULL or false: the message is not for its
 * history. *message borrows from the post. */
const struct channel_options *leaf_kept_options(
    const struct leaf *leaf, const struct hub_post *post);
bool leaf_kept_message(
    const struct leaf *leaf, const struct hub_post *post, struct engine_message *message);
void leaf_publish_kept(
    struct leaf *leaf, const struct hub_post *post, const struct channel_options *options);

/* Removes what the engine keeps of a channel whose messages are kept. */
void leaf_delete_kept(struct leaf *leaf, struct slice channel);

#endif
