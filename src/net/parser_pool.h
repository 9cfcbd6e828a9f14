#ifndef NET_PARSER_POOL_H
#define NET_PARSER_POOL_H

#include "base/protocol.h"
#include "net/net.h"

/*
 * The parsers (parser states of a protocol) of one loop's connections.
 *
 * Only a connection in the middle of a request has a parser. Between requests a connection returns
 * its parser, which the next connection with bytes to parse gets. So an idle connection takes no
 * memory here. One spare parser of each service is kept. For this layer only.
 */
struct parser_pool {
	const struct protocol *const *protocols; /* one for each service; borrowed */
	const struct protocol_limits *limits;    /* the same; borrowed, may change */
	void *spare[NET_SERVICES_MAX];           /* NULL: none */
};

/* For a connection of this service. Returns owned (parser_pool_settle, parser_pool_drop). */
void *parser_pool_take(struct parser_pool *pool, unsigned service);

/* Call it when all complete requests were handled. Takes the parser back and returns NULL if it
 * holds no data of the connection; else returns it. */
void *parser_pool_settle(struct parser_pool *pool, unsigned service, void *parser);

void parser_pool_drop(
    struct parser_pool *pool, unsigned service, void *parser); /* NULL is allowed */
void parser_pool_release(struct parser_pool *pool);

#endif
