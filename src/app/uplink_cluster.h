#ifndef APP_UPLINK_CLUSTER_H
#define APP_UPLINK_CLUSTER_H

#include <stdint.h>

#include "app/settings.h"
#include "base/buffer.h"

/* Uplink of a cluster: joins connections to the nodes of a cluster (net/outgoing.h) and the links
 * over them (link/cluster.h). */
struct leaf_settings;
struct net;
struct server;
struct uplink_cluster;

/* Begins to connect in the next turn of the loop. Borrows all but error. Returns owned
 * (uplink_cluster_free), or NULL if the URLs or the files of TLS cannot be used: error says why. */
struct uplink_cluster *uplink_cluster_new(const struct upstream_settings *settings,
    const struct leaf_settings *leaf_settings, struct net *net, struct server *server,
    struct buffer *error);
void uplink_cluster_free(
    struct uplink_cluster *uplink); /* before net and server. NULL is allowed */

/* Once a turn. Returns the time until the next call, in us. */
uint64_t uplink_cluster_turn(struct uplink_cluster *uplink, uint64_t now_us);

#endif
