#ifndef LINK_ENGINE_PRESENCE_STATE_H
#define LINK_ENGINE_PRESENCE_STATE_H

/* The states of a node's presence at its engine (engine_presence.h), and one table of transitions.
 */
enum engine_presence_state {
	ENGINE_PRESENCE_DOWN,    /* there is no connection, or the engine was not greeted */
	ENGINE_PRESENCE_IDLE,    /* the link is up; nothing was told or asked yet */
	ENGINE_PRESENCE_LOADING, /* the link is up; the scripts are being loaded */
	ENGINE_PRESENCE_LEASING, /* the node asks for its lease */
	ENGINE_PRESENCE_LEASED,  /* it has the lease; the link is being made */
	ENGINE_PRESENCE_JOINED,  /* the link is up; the node asks for its lease */
	ENGINE_PRESENCE_READY,   /* the link is up and the node has the lease: it tells changes */
	ENGINE_PRESENCE_ENDED,   /* the node tells nothing any more */
};
#define ENGINE_PRESENCE_STATES (ENGINE_PRESENCE_ENDED + 1)

enum engine_presence_event {
	ENGINE_PRESENCE_GREETED, /* the engine was */
	ENGINE_PRESENCE_WANTED,  /* something is to be told or asked */
	ENGINE_PRESENCE_LOADED,  /* the engine has the scripts */
	ENGINE_PRESENCE_LEASE,   /* the engine has given the lease */
	ENGINE_PRESENCE_LINKED,  /* the link is up */
	ENGINE_PRESENCE_DIED,    /* the lease has ended */
	ENGINE_PRESENCE_LOST,    /* the connection was */
	ENGINE_PRESENCE_END,     /* this node ends */
};
#define ENGINE_PRESENCE_EVENTS (ENGINE_PRESENCE_END + 1)

/* The table. An event that cannot happen in a state changes nothing. */
enum engine_presence_state engine_presence_next(
    enum engine_presence_state state, enum engine_presence_event event);

#endif
