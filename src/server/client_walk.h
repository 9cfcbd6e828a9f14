#ifndef SERVER_CLIENT_WALK_H
#define SERVER_CLIENT_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Client walk: all clients that there were when it began, in the order of ids, in any number of
 * steps between which clients may come and go. And how CLIENT's filters name clients.
 */
struct client;
struct server;

struct client_walk {
	struct server *server;
	uint64_t last_id; /* of the client returned last */
	uint64_t end_id;  /* of the first that came later */
};

void client_walk_init(struct client_walk *walk, struct server *server);

/* NULL at the end. Clients that are closed or being killed are passed over. */
struct client *client_walk_next(struct client_walk *walk);

/* NULL if there is none, or it is passed over as above. */
struct client *client_by_id(const struct server *server, uint64_t id);

/* What the TYPE filters tell apart. No client is a master, but the name is known. */
enum client_type {
	CLIENT_TYPE_NORMAL,
	CLIENT_TYPE_REPLICA, /* as in Redis without the monitors; so none either */
	CLIENT_TYPE_PUBSUB,
	CLIENT_TYPE_MASTER,
};

enum client_type client_type_of(const struct client *c);

/* In any case of letters. */
bool client_type_parse(struct slice name, enum client_type *type)
    __attribute__((warn_unused_result));

#endif
