#ifndef LINK_GLOBS_STATE_H
#define LINK_GLOBS_STATE_H

/* What a node of a cluster and the other nodes know of each other's globs. */
enum globs_state {
	GLOBS_OUT,        /* it does not hear the others */
	GLOBS_REFUSED,    /* it may not: there are no patterns at this node */
	GLOBS_JOINED,     /* it hears them, and is to ask for what they have */
	GLOBS_ASKING,     /* their answers are awaited */
	GLOBS_KNOWN,      /* it knows theirs, and they know what it has said last */
	GLOBS_ANNOUNCING, /* it has told them new ones, and awaits their answers */
};
#define GLOBS_STATES (GLOBS_ANNOUNCING + 1)

enum globs_event {
	GLOBS_HEARS,    /* it is subscribed to what they say from now on */
	GLOBS_LOST,     /* it is not any more */
	GLOBS_DENIED,   /* the upstream does not let it */
	GLOBS_SENT,     /* it has told them its globs, and wants answers */
	GLOBS_ANSWERED, /* all have, or those that have not are about to notice a loss themselves */
	GLOBS_FAILED,   /* nobody has heard it */
};
#define GLOBS_EVENTS (GLOBS_FAILED + 1)

/* The table. */
enum globs_state globs_next_state(enum globs_state state, enum globs_event event);

/* The feed of a node: the channels by which it gets copies, one in each slot. */
enum feed_state {
	FEED_NONE,    /* it is not subscribed to them */
	FEED_JOINING, /* it is being, for the first time */
	FEED_LIVE,    /* it was; a channel that is joined again has missed copies */
	FEED_LEAVING, /* it unsubscribes */
};
#define FEED_STATES (FEED_LEAVING + 1)

enum feed_event {
	FEED_WANTED,   /* the node has patterns */
	FEED_UNWANTED, /* it has none */
	FEED_JOINED,   /* all channels are subscribed to, but for those of shards without a link */
	FEED_LEFT,     /* no channel is wanted any more */
};
#define FEED_EVENTS (FEED_LEFT + 1)

enum feed_state feed_next_state(enum feed_state state, enum feed_event event);

#endif
