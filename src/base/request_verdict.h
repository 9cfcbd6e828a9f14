#ifndef BASE_REQUEST_VERDICT_H
#define BASE_REQUEST_VERDICT_H

/* What becomes of a request that the network layer has handed over; for both sides of the call. */
enum request_verdict {
	REQUEST_NEXT,    /* done: the next request may be handed over */
	REQUEST_LATER,   /* not done: the same request is handed over again when the connection is
			    resumed, even if the peer stops sending meanwhile */
	REQUEST_BLOCKED, /* not done: the same, but the request is void once the peer has closed the
			    connection, which is then closed here too */
};

#endif
