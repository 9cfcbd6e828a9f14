#ifndef EDGE_FIGURES_H
#define EDGE_FIGURES_H

#include <stddef.h>
#include <stdint.h>

/* What the edge counts, for /metrics. All since the start, but for those that say `now`. */
#define EDGE_STATUS_CLASSES 6 /* 1xx to 5xx; [0] is not used */

struct edge_figures {
	uint64_t responses[EDGE_STATUS_CLASSES];
	uint64_t streams; /* event streams that were opened */
	size_t streams_now;
	uint64_t sockets; /* WebSockets that were opened */
	size_t sockets_now;
	uint64_t commands;         /* of WebSockets */
	uint64_t command_errors;   /* answered with an error */
	uint64_t published;        /* messages published by HTTP and WebSockets */
	uint64_t resumed;          /* streams and subscriptions that missed nothing */
	uint64_t lost;             /* ... that were told to reload */
	uint64_t denied_origins;   /* requests with an origin that is not allowed */
	uint64_t denied_tokens;    /* tokens that were refused */
	uint64_t denied_rights;    /* channels that were refused */
	uint64_t broken_requests;  /* invalid HTTP */
	uint64_t broken_frames;    /* invalid WebSocket frames */
	uint64_t expired_sessions; /* ended because their token expired */
	uint64_t aged_sessions;    /* ended because of edge-max-age */
	uint64_t unanswered_pings; /* WebSockets closed because no pong came */
	uint64_t flooding_sockets; /* WebSockets closed because of edge-command-rate */
};

#endif
