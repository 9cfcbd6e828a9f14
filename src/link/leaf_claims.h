#ifndef LINK_LEAF_CLAIMS_H
#define LINK_LEAF_CLAIMS_H

#include <stdbool.h>

#include "pubsub/position.h"

/* What a leaf does for and with claims (engine_claims.h): messages of an engine that are for queue
 * groups of its hub wait until one node has claimed them. */
struct leaf;
struct upstream_figures;

/* The leaf's upstream is an engine; the hub has no queue group yet. */
void leaf_claims_begin(struct leaf *leaf);
void leaf_claims_end(struct leaf *leaf); /* if they were begun */

/* What is posted next has this position at the engine; seq 0: it has none. */
void leaf_claims_post(struct leaf *leaf, struct hub_position position);

/* Delivers some of the messages that this node has claimed. True: there are more. */
bool leaf_claims_work(struct leaf *leaf);

void leaf_claims_figures(const struct leaf *leaf, struct upstream_figures *out);

#endif
