#ifndef LINK_ENGINE_CLAIM_STATE_H
#define LINK_ENGINE_CLAIM_STATE_H

#include <stdbool.h>

/* The states of a message of a queue group at one node (engine_claims.h), and one table of
 * transitions. */
enum claim_state {
	CLAIM_WAITING,     /* the engine was not asked, or nobody had claimed it */
	CLAIM_LOOKING,     /* it was asked who has claimed it */
	CLAIM_ASKED,       /* it was asked to give it to this node */
	CLAIM_UNSURE,      /* so it was, and did not answer: maybe it has */
	CLAIM_ASKED_AGAIN, /* it was asked once more */
	CLAIM_WON,         /* the message is for this node */
	CLAIM_TAKEN,       /* ... for another one */
	CLAIM_MISSED,      /* it may have been for this node, and nobody knows any more */
};
#define CLAIM_STATES (CLAIM_MISSED + 1)

enum claim_event {
	CLAIM_LOOKS, /* commands */
	CLAIM_ASKS,
	CLAIM_IS_WON, /* replies */
	CLAIM_IS_TAKEN,
	CLAIM_IS_FREE,
	CLAIM_IS_FORGOTTEN, /* by the engine, which keeps the newest claims */
	CLAIM_IS_LOST,      /* the connection, or the reply is an error */
};
#define CLAIM_EVENTS (CLAIM_IS_LOST + 1)

/* The table. An event that cannot happen in a state changes nothing. */
enum claim_state claim_next(enum claim_state state, enum claim_event event);

/* A reply is awaited. */
static inline bool
claim_is_in_flight(enum claim_state state)
{
	return state == CLAIM_LOOKING || state == CLAIM_ASKED || state == CLAIM_ASKED_AGAIN;
}

/* Nothing changes it any more. */
static inline bool
claim_is_decided(enum claim_state state)
{
	return state >= CLAIM_WON;
}

#endif
