#include "config.h"

#include "server/client_walk.h"

#include "base/hash_map.h"
#include "server/client.h"
#include "server/clients.h"

void
client_walk_init(struct client_walk *walk, struct server *server)
{
	const struct client *newest = TAILQ_LAST(&server->clients->open, client_list);

	*walk =
	    (struct client_walk){.server = server, .end_id = newest != NULL ? newest->id + 1 : 0};
}

/*
 * The first client after the one returned last, closed or not. If that one was freed, its place is
 * searched from the newest client on, because most clients that leave are new ones.
 */
static struct client *
after_last(const struct client_walk *walk)
{
	const struct slice key = {(const char *)&walk->last_id, sizeof(walk->last_id)};
	struct client *c = NULL;

	if (walk->last_id != 0)
		c = hash_map_get(walk->server->clients->by_id, key);
	if (c == NULL && walk->last_id != 0) {
		for (c = TAILQ_LAST(&walk->server->clients->open, client_list);
		     c != NULL && c->id > walk->last_id;)
			c = TAILQ_PREV(c, client_list, all);
	}
	return c != NULL ? TAILQ_NEXT(c, all) : TAILQ_FIRST(&walk->server->clients->open);
}

struct client *
client_walk_next(struct client_walk *walk)
{
	struct client *c = after_last(walk);

	while (c != NULL && c->id < walk->end_id && client_is_dead(c))
		c = TAILQ_NEXT(c, all);
	if (c == NULL || c->id >= walk->end_id)
		return NULL;
	walk->last_id = c->id;
	return c;
}

struct client *
client_by_id(const struct server *server, uint64_t id)
{
	struct client *c =
	    hash_map_get(server->clients->by_id, (struct slice){(const char *)&id, sizeof(id)});

	return c != NULL && client_is_dead(c) ? NULL : c;
}

enum client_type
client_type_of(const struct client *c)
{
	return client_subscriptions(c) > 0 ? CLIENT_TYPE_PUBSUB : CLIENT_TYPE_NORMAL;
}

bool
client_type_parse(struct slice name, enum client_type *type)
{
	static const struct {
		const char *name;
		enum client_type type;
	} names[] = {
	    {"normal", CLIENT_TYPE_NORMAL},
	    {"replica", CLIENT_TYPE_REPLICA},
	    {"slave", CLIENT_TYPE_REPLICA},
	    {"pubsub", CLIENT_TYPE_PUBSUB},
	    {"master", CLIENT_TYPE_MASTER},
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (slice_is_nocase(name, names[i].name)) {
			*type = names[i].type;
			return true;
		}
	}
	return false;
}
