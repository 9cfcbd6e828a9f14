#ifndef LINK_PEER_H
#define LINK_PEER_H

#include <stdbool.h>

#include "base/bytes.h"

/* Peer: whether a server can be the upstream of this node, by what it says of itself. */
struct resp_value;

#define LINK_PEER_MAX 64
#define LINK_WARNING_MAX 192

struct peer {
	char name[LINK_PEER_MAX]; /* and version: "redis 7.0.15", "fanfare 0.1.0" */
	bool is_fanfare;
	bool is_replica;                /* a node of a cluster */
	char warning[LINK_WARNING_MAX]; /* see peer_warn(); "": none */
};

/* The reply to HELLO 3. NULL, and *peer is set; or why it cannot be, a constant text. */
const char *peer_check_hello(const struct resp_value *value, struct peer *peer);

/* The same for a node of a cluster; takes_replica: it is only asked which masters there are. */
const char *peer_check_cluster_hello(
    const struct resp_value *value, bool takes_replica, struct peer *peer);

/* The text of INFO; id is the run_id of this node. NULL, or why it cannot be. */
const char *peer_check_info(struct slice info, const char *id);

/* Sets peer->warning if the server, whose text of INFO this is, can be an engine and may lose
 * history all the same. */
void peer_warn(struct slice info, struct peer *peer);

/* The run_id of the server in the text of INFO; empty if there is none. */
struct slice peer_run_id(struct slice info);

#endif
