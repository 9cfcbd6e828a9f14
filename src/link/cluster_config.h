#ifndef LINK_CLUSTER_CONFIG_H
#define LINK_CLUSTER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "link/leaf_config.h"

/* What a cluster (cluster.h) is given: its settings, and the connections to its nodes. */
struct shard;

struct cluster_seed {
	const char *host;
	uint16_t port;
};

struct cluster_config {
	const char *address; /* of the seeds, for people; copied */
	const char *user;    /* "" or NULL: the default user. Copied */
	const char *password;
	const struct cluster_seed *seeds;     /* copied */
	size_t seed_count;                    /* at least 1 */
	const struct leaf_settings *settings; /* borrowed, may change */
};

struct cluster_io {
	/* Begins to connect, again after each loss. Copies host. Returns owned (release()), or NULL
	 * if it cannot: then it is tried again later. */
	void *(*connect)(void *arg, struct shard *shard, const char *host, uint16_t port);
	void (*release)(void *connection); /* no more calls with its shard follow */
	bool (*send)(void *connection, struct slice bytes); /* as in struct link_ops */
	size_t (*queued_bytes)(void *connection);
	void (*drop)(void *connection, const char *why); /* calls cluster_lost() */
	void *arg;
};

#endif
