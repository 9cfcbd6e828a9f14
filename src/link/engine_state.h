#ifndef LINK_ENGINE_STATE_H
#define LINK_ENGINE_STATE_H

/* The states of a node's history at its engine (engine.h), and one table of transitions. */
enum engine_state {
	ENGINE_DOWN,        /* there is no connection, or the engine was not greeted */
	ENGINE_CATCHING_UP, /* messages are held until those that were missed have come, too */
	ENGINE_DELIVERING,  /* they are delivered in the order of their positions */
	ENGINE_LIVE,        /* messages are delivered as they come */
};
#define ENGINE_STATES (ENGINE_LIVE + 1)

enum engine_event {
	ENGINE_GREETED_ANEW,  /* the history is not that which was seen before */
	ENGINE_GREETED_AGAIN, /* it is */
	ENGINE_JOINED,        /* all channels are loaded */
	ENGINE_DELIVERED,     /* nothing is held any more */
	ENGINE_LOST,          /* the connection was */
};
#define ENGINE_EVENTS (ENGINE_LOST + 1)

/* The table. An event that cannot happen in a state changes nothing. */
enum engine_state engine_next(enum engine_state state, enum engine_event event);
const char *engine_state_name(enum engine_state state); /* in lower case */

#endif
