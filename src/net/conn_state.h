#ifndef NET_CONN_STATE_H
#define NET_CONN_STATE_H

#include <stdbool.h>

/*
 * The states of a connection, and which may follow which. The order counts: see the predicates. For
 * this layer only.
 */
enum conn_state {
	CONN_SECURING, /* in the TLS handshake */
	CONN_READING,  /* requests are read and handed over as they come */
	CONN_HELD,     /* the next request got REQUEST_LATER: it waits, and nothing is read */
	CONN_BLOCKED, /* REQUEST_BLOCKED: the same, but the connection closes if the peer ends it */
	CONN_RESUMED, /* the request that waits is handed over again in the next turn */
	CONN_PAUSED,  /* requests wait until the peer has read its replies */
	CONN_FINISHING, /* no more requests; closes when its output has been written */
	CONN_LINGERING, /* our side is shut; what the peer still sends is thrown away, so that a
			 * reset does not destroy the last reply on its way */
	CONN_DEAD,      /* its socket is not used any more; freed at the end of a turn */
	CONN_STOPPED,   /* the same, and its link has given its last report */
	CONN_STATES
};

/* What is under way of a connection's output. */
enum conn_output {
	OUTPUT_FREE,
	OUTPUT_IN_FLIGHT, /* its link writes from the outbox, which stands until it has reported */
	OUTPUT_FULL,      /* the socket takes no more until it is reported writable */
};

/* The net's end_watch (net/end_watch.h) ... */
enum conn_end_watch {
	END_UNKNOWN, /* does not know the socket */
	END_WATCHED, /* watches it */
	END_TOLD,    /* has told of its end, or of one before */
};

/* Where it waits for its work to be done; see conn_queues.c. */
enum conn_work { WORK_NONE, WORK_READY, WORK_LATER, WORK_CLOSING };

/* ... and its output to be written. */
enum conn_flush {
	FLUSH_NONE,
	FLUSH_REPLIES,
	FLUSH_MESSAGES,
	FLUSH_REPLIES_IN_FLIGHT,
	FLUSH_MESSAGES_IN_FLIGHT,
};

/* Every state may be followed by itself. */
bool conn_state_may_follow(enum conn_state from, enum conn_state to);
const char *conn_state_name(enum conn_state state); /* "reading"; a literal */

/* Requests of it may still be handed over. */
static inline bool
conn_state_is_open(enum conn_state state)
{
	return state < CONN_FINISHING;
}

/* A request was handed over and waits. */
static inline bool
conn_state_is_held(enum conn_state state)
{
	return state >= CONN_HELD && state <= CONN_RESUMED;
}

#endif
