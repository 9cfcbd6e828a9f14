#ifndef LINK_LINK_STATE_H
#define LINK_LINK_STATE_H

/* The states of a link, and one table of transitions. */
enum link_state {
	LINK_DOWN,     /* there is no connection */
	LINK_GREETING, /* HELLO was sent */
	LINK_CHECKING, /* INFO was sent: is this a server that can be an upstream? */
	LINK_JOINING,  /* it is being subscribed to what is wanted */
	LINK_UP,       /* what was wanted when it was opened was asked for; a probe came back */
};
#define LINK_STATES (LINK_UP + 1)

enum link_event {
	LINK_OPENED,  /* there is a connection */
	LINK_GREETED, /* the reply to HELLO is good */
	LINK_CHECKED, /* the reply to INFO is, or is refused */
	LINK_JOINED,
	LINK_LOST,
};
#define LINK_EVENTS (LINK_LOST + 1)

/* The table. An event that cannot happen in a state changes nothing. */
enum link_state link_next(enum link_state state, enum link_event event);
const char *link_state_name(enum link_state state); /* one word in lower case */

#endif
