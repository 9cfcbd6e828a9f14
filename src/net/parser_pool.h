#ifndef NET_PARSER_POOL_H
#define NET_PARSER_POOL_H

#include "base/protocol.h"
#include "net/net.h"

/*
 * The parsers of one loop's connections: states of their protocols.
 *
 * Only a connection in the middle of a request has a parser. One that is between requests gives its
 * parser back, and the next that has something to parse goes on with it; so an idle connection
 * takes no memory here. One parser of each service is kept for that. For this layer only.
 */
struct parser_pool {
	const struct protocol *const *protocols; /* of each service; borrowed */
	const struct protocol_limits *limits;    /* the same; borrowed, may change */
	void *spare[NET_SERVICES_MAX];           /* NULL: none */
};

/* For a connection of this service. Returns owned (parser_pool_settle, parser_pool_drop). */
void *parser_pool_take(struct parser_pool *pool, unsigned service);

/* The requests so far were handled. Takes the parser back and returns NULL if nothing of the
 * connection is left in it; returns it otherwise. */
void *parser_pool_settle(struct parser_pool *pool, unsigned service, void *parser);

void parser_pool_drop(struct parser_pool *pool, unsigned service, void *parser); /* or NULL */
void parser_pool_release(struct parser_pool *pool);

#endif
