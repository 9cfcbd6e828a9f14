#ifndef BASE_REQUEST_VERDICT_H
#define BASE_REQUEST_VERDICT_H

/* What the service did with a request that the network layer passed to it. */
enum request_verdict {
	REQUEST_NEXT,  /* done: the next request may be passed */
	REQUEST_LATER, /* not done: the same request is passed again when the connection is resumed,
			  even if the peer stops sending meanwhile */
	REQUEST_BLOCKED, /* not done: like REQUEST_LATER, but if the peer closes the connection, the
			    request is dropped and the connection is closed here too */
};

#endif
