#ifndef LINK_CLUSTER_STATE_H
#define LINK_CLUSTER_STATE_H

/* The states of a node's links to the shards of a cluster, and what changes them. */
enum cluster_state {
	CLUSTER_SEEKING, /* seeds are asked which shards there are */
	CLUSTER_LINKING, /* that is known, and no shard is linked yet */
	CLUSTER_PARTIAL, /* some slots have no shard that is linked */
	CLUSTER_UP,      /* all slots have one */
};
#define CLUSTER_STATES (CLUSTER_UP + 1)

enum cluster_event {
	CLUSTER_MAPPED, /* a node has said which shards there are */
	CLUSTER_NONE,   /* no shard is linked now */
	CLUSTER_SOME,   /* shards of some slots are */
	CLUSTER_ALL,    /* those of all slots are */
	CLUSTER_LATE,   /* it takes too long */
};
#define CLUSTER_EVENTS (CLUSTER_LATE + 1)

/* The table. */
enum cluster_state cluster_next(enum cluster_state state, enum cluster_event event);

const char *cluster_state_name(enum cluster_state state);

#endif
