#ifndef LINK_LINK_OPS_H
#define LINK_LINK_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "link/interest.h"
#include "pubsub/position.h"
#include "pubsub/wire_form.h"

/* What a link needs of its owner, and what it tells. */

#define LINK_PROBE_PREFIX "__fanfare__:probe:" /* of the channels of probes */

/* What it uses and tells. send and drop are not called before link_opened() and after link_lost().
 * The others must not call functions of the link but link_publish(). */
struct link_ops {
	/* False: the connection cannot take it; link_lost() follows. Copies. */
	bool (*send)(void *arg, struct slice bytes);
	/* Ends the connection, for this reason; calls link_lost(). */
	void (*drop)(void *arg, const char *why);
	/* A message, once, however many subscriptions it came by. */
	void (*message)(void *arg, enum hub_kind kind, struct slice channel, struct slice payload,
	    enum interest_course course);
	/* From here on the upstream sends the messages of the name. */
	void (*joined)(void *arg, enum hub_kind kind, struct slice name, enum interest_join how);
	/* From here on it does not. */
	void (*left)(void *arg, enum hub_kind kind, struct slice name);
	/* The next message that was sent is answered. error: the upstream has refused it; empty: it
	 * has it. position: that it gave it; 0-0: none. Messages without an answer when the
	 * connection is lost may be there or not. */
	void (*published)(void *arg, struct slice error, struct hub_position position);
	/* The upstream refused names: its error. */
	void (*refused)(void *arg, struct slice error);
};

struct engine_claims;
struct engine_ops;
struct engine_presence_ops;
struct resp_value;

/* For a link to a node of a cluster. They must not call functions of the link. */
struct link_cluster_ops {
	/* The node's answers to CLUSTER INFO, its text, and CLUSTER SLOTS; is_replica: it was a
	 * master. NULL, or why the link is to be dropped, a constant text. */
	const char *(*topology)(
	    void *arg, struct slice info, const struct resp_value *slots, bool is_replica);
	/* The node does not serve a name that it was asked for, or not any more. */
	void (*moved)(void *arg, struct slice name);
	/* The next link_tell() is answered: with the number of receivers at the node, or an error,
	 * which is not empty then. */
	void (*told)(void *arg, struct slice error, uint64_t receivers);
};

struct link_config {
	const char *user;                /* NULL or "": the default user. Borrowed, as the others */
	const char *password;            /* NULL or "": no authentication */
	const char *id;                  /* of this node: its run_id */
	const struct engine_ops *engine; /* the upstream is an engine (engine.h); NULL: it is not */
	const struct engine_presence_ops *presence; /* and has the members of all nodes; or NULL */
	struct engine_claims *claims;               /* of its messages; NULL: there are none */
	const struct link_cluster_ops *cluster;     /* the upstream is a node of a cluster, and all
						       names are HUB_SHARD; NULL: it is not */
	bool is_seed;      /* ... that is asked which nodes there are, and for nothing else */
	uint64_t names_us; /* before this time no names are subscribed to; 0: there is none. May
			      change */
	uint64_t probe_us; /* how often, and within what time, a probe comes back; may change */
};

struct link_figures {
	uint64_t received;    /* messages, each once */
	uint64_t copies;      /* further copies of them */
	uint64_t sent;        /* messages */
	uint64_t refused;     /* of these: the upstream answered with an error */
	uint64_t unconfirmed; /* ...: the connection was lost before the answer */
	uint64_t bytes_in, bytes_out;
	uint64_t connections; /* that reached LINK_UP */
	uint64_t probe_us;    /* how long the newest probe took */
};

#endif
