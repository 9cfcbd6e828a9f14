#ifndef SERVER_UPSTREAM_SENDING_H
#define SERVER_UPSTREAM_SENDING_H

/* What became of a message or a query for the upstream. */
enum upstream_sending {
	UPSTREAM_SENT,
	UPSTREAM_KEPT,  /* for ops->send() only: sent, and its position comes with the answer */
	UPSTREAM_LOCAL, /* the link is down, and the message is to be delivered here at once */
	UPSTREAM_DOWN,  /* the link is down, and the message is to be refused */
	UPSTREAM_FULL,  /* too much waits to be sent, and the message cannot: it is to be refused */
	UPSTREAM_BUSY,  /* too much waits to be sent, or the link is being made: try again later */
};

#endif
