#include "config.h"

#include "net/parser_pool.h"

void *
parser_pool_take(struct parser_pool *pool, unsigned service)
{
	void *parser = pool->spare[service];

	if (parser == NULL)
		return pool->protocols[service]->open(&pool->limits[service]);
	pool->spare[service] = NULL;
	return parser;
}

void *
parser_pool_settle(struct parser_pool *pool, unsigned service, void *parser)
{
	if (!pool->protocols[service]->settle(parser))
		return parser;
	if (pool->spare[service] == NULL)
		pool->spare[service] = parser;
	else
		pool->protocols[service]->close(parser);
	return NULL;
}

void
parser_pool_drop(struct parser_pool *pool, unsigned service, void *parser)
{
	if (parser != NULL)
		pool->protocols[service]->close(parser);
}

void
parser_pool_release(struct parser_pool *pool)
{
	for (unsigned i = 0; i < NET_SERVICES_MAX; i++) {
		if (pool->spare[i] != NULL)
			pool->protocols[i]->close(pool->spare[i]);
		pool->spare[i] = NULL;
	}
}
