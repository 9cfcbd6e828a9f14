#ifndef LINK_LEAF_PRESENCE_H
#define LINK_LEAF_PRESENCE_H

/* What a leaf does for the presence of all nodes of an engine (engine_presence.h,
 * server/upstream_presence.h). */
struct engine_presence_ops;
struct upstream_presence_ops;

extern const struct engine_presence_ops leaf_presence_ops; /* for a leaf */
extern const struct upstream_presence_ops leaf_upstream_presence;

#endif
