#ifndef LINK_TESTING_SHARDS_H
#define LINK_TESTING_SHARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "link/cluster.h"
#include "link/leaf_config.h"
#include "link/slots.h"
#include "server/server_config.h"

struct command_table;
struct server;

/*
 * A Redis Cluster without sockets, for tests of cluster.h: nodes that answer the commands of links
 * as Redis does, slots that move between them, nodes that fail. The test says when a connection
 * makes progress.
 */
#define SIM_NODES 4
#define SIM_CONNECTIONS 16

struct sim_connection {
	struct shard *shard; /* NULL: it is free */
	size_t node;         /* SIM_NODES: nobody listens there */
	bool is_open;
	uint64_t connect_us; /* then it is opened */
	struct resp_parser *parser;
	struct buffer sent;     /* by the link, not read by the node yet */
	struct buffer in;       /* by the node, not given to the link yet */
	struct hash_map *names; /* that it is subscribed to; NULL: none */
};

struct sim {
	struct cluster_io io;
	struct sim_connection connections[SIM_CONNECTIONS];
	uint8_t owner[SLOTS]; /* the node that serves it; SIM_NODES: nobody */
	uint64_t epoch;
	bool is_dead[SIM_NODES];
	uint64_t now_us;
	/* A message was accepted by the node that serves its slot. */
	void (*accepted)(struct slice channel, struct slice payload);
	const char *refused; /* names that begin so are not subscribed to; NULL: none */
	const char *failing; /* what is published to channels that begin so fails; NULL: none */
	uint64_t redirected, drops;
	char why[256]; /* of the last drop */
};

#define SIM_PORT 7000 /* of node 0; the others follow */

/* What the fanfared nodes of a test have in common. */
struct sim_setting {
	struct server_config config;
	struct leaf_settings leaf;
	struct command_table *commands;
};
void sim_setting_init(struct sim_setting *setting);
void sim_setting_release(struct sim_setting *setting);

/* A fanfared that is to join the cluster, whose second seed it is: the first one is nowhere. Both
 * are owned: cluster_free(), then server_free(). */
struct cluster *sim_join(struct sim *sim, struct sim_setting *setting, struct server **server);

void sim_init(struct sim *sim); /* clears it first; all slots at the nodes 0 to 2 */

/* A message of somebody else. */
void sim_publish(
    struct sim *sim, struct slice channel, struct slice payload, struct buffer *reply_to);
void sim_move(struct sim *sim, uint16_t slot, size_t node);
void sim_kill(struct sim *sim, size_t node); /* its connections are lost */
void sim_revive(struct sim *sim, size_t node);
void sim_lose(struct sim *sim, size_t connection);

/* The node reads what was sent over a connection; the link gets what the node has answered. Up to
 * max bytes. */
void sim_serve(struct sim *sim, size_t connection, size_t max);
void sim_deliver(struct sim *sim, size_t connection, size_t max);
void sim_open_due(struct sim *sim); /* connections whose time has come */

#endif
