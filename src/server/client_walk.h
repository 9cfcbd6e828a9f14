#ifndef SERVER_CLIENT_WALK_H
#define SERVER_CLIENT_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Client walk: visits all clients that exist when it begins, in the order of ids, in any number of
 * steps; clients may connect and leave between the steps. Also reads the client types of CLIENT's
 * filters.
 */
struct client;
struct server;

struct client_walk {
	struct server *server;
	uint64_t last_id; /* of the client returned last */
	uint64_t end_id;  /* of the first client that connected after the walk began */
};

void client_walk_init(struct client_walk *walk, struct server *server);

/* NULL at the end. Skips clients that are closed or being killed. */
struct client *client_walk_next(struct client_walk *walk);

/* NULL if there is none, or it is closed or being killed. */
struct client *client_by_id(const struct server *server, uint64_t id);

/* Types in TYPE filters. No client is a master, but the name is accepted. */
enum client_type {
	CLIENT_TYPE_NORMAL,
	CLIENT_TYPE_REPLICA, /* as in Redis, without monitors; so there are none */
	CLIENT_TYPE_PUBSUB,
	CLIENT_TYPE_MASTER,
};

enum client_type client_type_of(const struct client *c);

/* Ignores the case of letters. */
bool client_type_parse(struct slice name, enum client_type *type)
    __attribute__((warn_unused_result));

#endif
