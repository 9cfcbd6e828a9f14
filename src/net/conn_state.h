#ifndef NET_CONN_STATE_H
#define NET_CONN_STATE_H

#include <stdbool.h>

/* The states of a connection and the allowed transitions. The predicates below depend on the order.
 * For this layer only. */
enum conn_state {
	CONN_SECURING, /* in the TLS handshake */
	CONN_READING,  /* requests are read and passed to the service */
	CONN_HELD,     /* the next request got REQUEST_LATER: it waits, and nothing is read */
	CONN_BLOCKED,  /* REQUEST_BLOCKED: the same, but the connection is closed if the peer closes
			  it */
	CONN_RESUMED,  /* the waiting request is passed again in the next turn */
	CONN_PAUSED,   /* requests wait until the peer has read its replies */
	CONN_FINISHING, /* no more requests; closes when its output has been written */
	CONN_LINGERING, /* our side is shut; further input is discarded, because closing with unread
			   input would send a reset, which may destroy the last reply */
	CONN_DEAD,      /* its socket is no longer used; freed at the end of a turn */
	CONN_STOPPED,   /* dead, and its link has sent its last report */
	CONN_STATES
};

/* The state of a connection's output. */
enum conn_output {
	OUTPUT_FREE,
	OUTPUT_IN_FLIGHT, /* its link writes from the outbox, which is kept until the report */
	OUTPUT_FULL,      /* the socket's buffer is full until the socket is reported writable */
};

/* The state of the socket in net->ends (net/end_watch.h). */
enum conn_end_watch {
	END_UNKNOWN,  /* not added */
	END_WATCHED,  /* watched */
	END_REPORTED, /* the end was reported; watched again only if added again */
};

/* The queue in which a connection waits for its input to be handled; see conn_queues.c. */
enum conn_work { WORK_NONE, WORK_READY, WORK_LATER, WORK_CLOSING };

/* The queue in which a connection waits for its output to be written. */
enum conn_flush {
	FLUSH_NONE,
	FLUSH_REPLIES,
	FLUSH_MESSAGES,
	FLUSH_FIRST, /* as FLUSH_MESSAGES, of a connection that nothing was written to */
	FLUSH_REPLIES_IN_FLIGHT,
	FLUSH_MESSAGES_IN_FLIGHT,
};

/* Every state may follow itself. */
bool conn_state_may_follow(enum conn_state from, enum conn_state to);
const char *conn_state_name(enum conn_state state); /* "reading"; a literal */

/* True if its requests may still be passed to the service. */
static inline bool
conn_state_is_open(enum conn_state state)
{
	return state < CONN_FINISHING;
}

/* True if a request was passed and has to wait. */
static inline bool
conn_state_is_held(enum conn_state state)
{
	return state >= CONN_HELD && state <= CONN_RESUMED;
}

#endif
