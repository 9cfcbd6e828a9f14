#ifndef LINK_INTEREST_STATE_H
#define LINK_INTEREST_STATE_H

#include <stdint.h>

/* The states of a name of an interest (interest.h), and what changes them. */

enum interest_state {
	INTEREST_ABSENT,  /* not wanted, and no record is kept */
	INTEREST_WAITING, /* it has to be asked for */
	INTEREST_ASKED,   /* SUBSCRIBE was sent */
	INTEREST_HELD,    /* the upstream has confirmed it */
	INTEREST_LINGERS, /* ... and nobody here has subscribed to it */
	INTEREST_LEAVING, /* UNSUBSCRIBE was sent */
	INTEREST_REFUSED, /* the upstream has refused it */
	INTEREST_MOVED,   /* the upstream does not serve it now: another one may */
};
#define INTEREST_STATES (INTEREST_MOVED + 1)

enum interest_event {
	INTEREST_WANTED,     /* it has its first subscriber, or will have one in a moment */
	INTEREST_UNWANTED,   /* it has lost its last one */
	INTEREST_SENT,       /* it is in a command that is being sent */
	INTEREST_CONFIRMED,  /* the answer to that */
	INTEREST_DENIED,     /* the same */
	INTEREST_DUE,        /* its time in this state is over */
	INTEREST_LEFT,       /* UNSUBSCRIBE was answered */
	INTEREST_LOST,       /* the connection was */
	INTEREST_REDIRECTED, /* SUBSCRIBE was answered: not here; or the upstream has unsubscribed
				by itself */
};
#define INTEREST_EVENTS (INTEREST_REDIRECTED + 1)

/* By whom a name is wanted when an event has happened. */
enum interest_want {
	INTEREST_NOBODY,
	INTEREST_SOON,    /* somebody has asked for it a short time ago */
	INTEREST_MEMBERS, /* it has subscribers */
};
#define INTEREST_WANTS (INTEREST_MEMBERS + 1)

/* The table. */
enum interest_state interest_next(
    enum interest_state state, enum interest_event event, enum interest_want want);

/* A refused name that is wanted is asked for again after this time, and so is one that has moved.
 */
#define INTEREST_REFUSED_US ((uint64_t)60000000)
#define INTEREST_MOVED_US ((uint64_t)500000)

#endif
