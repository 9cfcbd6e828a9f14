#ifndef LINK_CLUSTER_H
#define LINK_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "link/cluster_config.h"

/*
 * Cluster: a node that is a client of the shards of a Redis Cluster. It joins the server of this
 * process with a link (link.h) to the master of each shard. A channel belongs to one shard, by its
 * slot: there it is subscribed to with SSUBSCRIBE and published to with SPUBLISH, whatever kind the
 * clients use here.
 *
 * Which shard serves a slot is asked (slots.h) when a node greets, regularly, and whenever a node
 * says that it does not serve a slot. When another shard serves a slot, its names are subscribed to
 * there and their subscribers are told that messages may be missing (hub_mark_gap()). Messages that
 * come from a shard that does not serve their slot are dropped, so that the order of a channel is
 * that of its shards, one after the other.
 *
 * It opens nothing: connections are made by its io, and each belongs to a struct shard.
 */
struct cluster;
struct server;

/* Borrows server, and is its upstream until cluster_free(). Returns owned. */
struct cluster *cluster_new(
    struct server *server, const struct cluster_config *config, const struct cluster_io *io);
void cluster_free(struct cluster *cluster); /* NULL is allowed */

/* Of a shard's connection. */
void cluster_opened(struct shard *shard, uint64_t now_us);
void cluster_received(struct shard *shard, struct slice bytes, uint64_t now_us);
void cluster_drained(struct shard *shard);
void cluster_lost(struct shard *shard, const char *why, uint64_t retry_us, uint64_t now_us);

/* Once a turn. Returns the time until the next call, in us. */
uint64_t cluster_turn(struct cluster *cluster, uint64_t now_us);

#endif
