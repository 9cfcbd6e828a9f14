#ifndef LINK_LINK_H
#define LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "link/interest.h"
#include "link/link_ops.h"
#include "link/link_state.h"
#include "pubsub/wire_form.h"

/*
 * Link: the conversation of a node with its upstream server over one connection, which may be lost
 * and opened again at any time: greeting, checks, subscriptions, messages both ways, probes.
 *
 * It speaks RESP3 with Redis 6 or later, Valkey or another fanfared. Every command's reply is
 * expected in the order of the commands, so that a reply that does not fit is noticed and ends the
 * connection. It opens nothing and reads no clock: bytes and times come in as arguments, bytes go
 * out through its operations. It does not know the hub.
 *
 * A connection on which nothing comes back is the most common fault of such links. So a message
 * is sent to a channel of its own regularly: the link is only up when the first one has come back,
 * and is lost if one does not come in time.
 */
struct engine;
struct engine_message;
struct engine_presence;
struct link;

/* Borrows config and ops. Returns owned (link_free). */
struct link *link_new(const struct link_config *config, const struct link_ops *ops, void *arg);
void link_free(struct link *link);

enum link_state link_state_of(const struct link *link);
struct interest *link_interest(struct link *link);

void link_opened(struct link *link, uint64_t now_us);
void link_received(struct link *link, struct slice bytes, uint64_t now_us);
void link_lost(struct link *link);

/* Sends what is to be sent. Returns the time until the next call, in us. */
uint64_t link_turn(struct link *link, uint64_t now_us);

/* Queues a message for the upstream. While LINK_JOINING it goes behind the subscriptions. Not to
 * be called in another state but LINK_UP. */
void link_publish(
    struct link *link, enum hub_kind kind, struct slice channel, struct slice payload);

/* The same in a cluster, with a copy (globs_frame.h) to each of the other channels, which are in
 * the slot of the first: copies come directly behind the message. */
void link_publish_copied(struct link *link, struct slice channel, struct slice payload,
    const struct slice *to, size_t count);

/* Publishes to the owners of other links: link_cluster_ops.told() has the answer. Not to be called
 * in another state but LINK_JOINING and LINK_UP. */
void link_tell(struct link *link, struct slice channel, struct slice payload);

/* The same for a message that the engine keeps. */
void link_publish_kept(struct link *link, const struct engine_message *message);
/* Removes what the engine keeps of a channel; answered as a message is. */
void link_delete_kept(struct link *link, struct slice channel, uint64_t ttl_ms);

/* Of link_config.engine; otherwise NULL. */
struct engine *link_engine(const struct link *link);
/* Of link_config.presence; otherwise NULL. link_turn() sends what it writes. */
struct engine_presence *link_presence(const struct link *link);
size_t link_queued_bytes(const struct link *link); /* not given to send() yet */

/* Of a cluster: asks for the topology again, unless it has been asked for and not answered, or the
 * link is not LINK_JOINING or LINK_UP. */
void link_ask_topology(struct link *link);

/* The channel of the probes from the next one on; at first one that any server takes. Copies. */
void link_set_probe(struct link *link, struct slice channel);
struct slice link_probe_channel(const struct link *link);

struct link_figures link_figures(const struct link *link);

/* The name and version of the upstream, as "redis 7.0.15"; empty before LINK_JOINING. */
const char *link_peer(const struct link *link);
/* Why the upstream may lose history though it can be an engine; "": nothing is known. */
const char *link_warning(const struct link *link);

#endif
