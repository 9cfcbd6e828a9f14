#ifndef SERVER_UPSTREAM_H
#define SERVER_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/post.h"
#include "server/command.h"
#include "server/upstream_sending.h"

/*
 * Upstream: what commands, INFO and the loop need of a node's link to another server. The link is
 * in the layer above (link/leaf.h); app joins them. Without one, `server->upstream` is NULL, and
 * messages go from publishers to subscribers directly.
 *
 * With one, a message is sent to the upstream, and is delivered here when it comes back. A client
 * subscribes when the upstream has confirmed the name, so that it misses nothing after its own
 * confirmation. While the link is down nobody waits for it.
 */
struct request;
struct server;
struct upstream_presence_ops;

enum upstream_need {
	UPSTREAM_READY,   /* the client may subscribe */
	UPSTREAM_ASKED,   /* when the upstream has answered */
	UPSTREAM_LINKING, /* for ops->need() only: when the link is made, or has caught up, or has
			     answered somebody else; then the name is looked at as if for the
			     first time */
	UPSTREAM_REFUSES, /* the upstream does not let this node subscribe to the name */
};

struct upstream_figures {
	const char *mode;  /* "leaf", "engine" or "cluster" */
	const char *state; /* of the link */
	const char *address;
	const char *peer;    /* name and version of the upstream */
	const char *error;   /* why the last connection ended; "" : there was none */
	const char *warning; /* why it may lose history; "" : nothing is known */
	uint64_t changed_us; /* when the link went up or down; 0: never */
	uint64_t connections, received, copies, sent, refused, unconfirmed, missed;
	uint64_t bytes_in, bytes_out, queued_bytes, probe_us;
	const char *history;         /* state of the history of an engine; "" : there is none */
	size_t loaded;               /* channels */
	uint64_t filled, lost, anew; /* see struct engine_figures */
	uint64_t claims, claims_dropped, claims_missed; /* see struct engine_claims_figures */
	size_t claims_waiting;
	size_t names, waiting_names, lingering_names, refused_names;
	size_t shards, shards_up; /* of a cluster */
	/* Nodes of a cluster with patterns; copies because of patterns; what of these was none. */
	size_t pattern_nodes;
	uint64_t copies_sent, copies_received, strange;
};

/* One shard of a cluster: its link. */
struct upstream_shard {
	size_t number;       /* of no other one at the same time */
	const char *address; /* host:port of its master; not that of another one */
	const char *state;   /* of the link */
	bool is_up;
	size_t slots;
	size_t queued_bytes, unanswered; /* bytes to be sent; messages without an answer */
	uint64_t received, sent;         /* messages */
};

struct upstream {
	const struct upstream_ops *ops;
	bool has_history; /* it keeps messages: what it has of a channel is loaded before a client
			     reads the history of the channel, or goes on from a position */
	/* NULL: presence is that of this node only. See upstream_presence.h */
	const struct upstream_presence_ops *presence;
	bool is_sharded; /* a channel and a shard channel of the same name get the same messages */
};

/* A client is about to subscribe to a name, or to read its history. */
struct upstream_name {
	enum hub_kind kind;
	struct slice name;
	struct hub_position since; /* the position that it has; 0-0: none */
	bool is_again;             /* the upstream has answered once */
};

struct upstream_ops {
	/* *mark: with UPSTREAM_ASKED or UPSTREAM_LINKING, what server_upstream_answered() will
	 * reach when the upstream has answered. */
	enum upstream_need (*need)(
	    struct upstream *upstream, const struct upstream_name *name, uint64_t *mark);
	/* Sends the message; may_wait: UPSTREAM_BUSY is allowed. */
	enum upstream_sending (*send)(
	    struct upstream *upstream, const struct hub_post *post, bool may_wait);
	/* For upstream_delete_history(); NULL without has_history. */
	enum upstream_sending (*delete_history)(
	    struct upstream *upstream, struct slice channel, bool may_wait);
	void (*figures)(const struct upstream *upstream, struct upstream_figures *out);
	/* Calls put() for each shard; NULL: there are none. */
	void (*each_shard)(const struct upstream *upstream,
	    void (*put)(void *arg, const struct upstream_shard *shard), void *arg);
	/* Whether a mark was reached, for server_upstream_answered_some(); NULL: marks are reached
	 * in their order. */
	bool (*is_reached)(const struct upstream *upstream, uint64_t mark);
};

#define UPSTREAM_REFUSAL                                                                           \
	"the upstream does not let this node subscribe to one of the channels or patterns"
#define UPSTREAM_DOWN_ERROR "CLUSTERDOWN The link to the upstream is down"

/* The arguments of a command with names: from argv[first] on, `count` of them, every step-th one.
 */
struct upstream_arguments {
	size_t first, count, step; /* step is at least 1 */
	struct upstream_name (*name_of)(const struct request *rq, size_t i);
};

/*
 * For a command that subscribes to names, or, if upstream->has_history, reads their history: asks
 * for all of them, unless it is in a transaction. COMMAND_DONE: it may go on, or has replied with
 * an error (rq->failed). COMMAND_LATER: it has to wait.
 */
enum command_result upstream_await(struct request *rq, const struct upstream_arguments *arguments)
    __attribute__((warn_unused_result));

/* The same for a command that reads the history of channels; name_of NULL: the arguments are the
 * channels. In a transaction, which cannot wait, it replies with an error if it would have to. */
#define UPSTREAM_NOT_LOADED                                                                        \
	"ERR the history of a channel is not loaded at this node; read it outside of MULTI and "   \
	"scripts first"
enum command_result upstream_await_history(struct request *rq,
    const struct upstream_arguments *arguments) __attribute__((warn_unused_result));

/* The same for one name of a door's request: UPSTREAM_ASKED sets rq->waits_for. */
enum upstream_need upstream_await_name(struct request *rq, const struct upstream_name *name)
    __attribute__((warn_unused_result));

/* Sends a message, and sets *out: its receivers are those that it would have here. As ops->send().
 */
enum upstream_sending upstream_send(struct request *rq, const struct hub_post *post,
    struct hub_outcome *out) __attribute__((warn_unused_result));

/* If upstream->has_history: removes what it keeps of a channel, at all nodes. *out is set if the
 * result is UPSTREAM_SENT: the answer is that to a message (sent_wait.h), and has the position up
 * to which everything is removed, or none if nothing was kept. */
enum upstream_sending upstream_delete_history(struct request *rq, struct slice channel,
    struct hub_outcome *out) __attribute__((warn_unused_result));

/* The handler's result after a sending that failed: replies with an error, or sets rq->waits_for.
 */
enum command_result upstream_not_sent(struct request *rq, enum upstream_sending sending);

#define UPSTREAM_FULL_ERROR                                                                        \
	"OOM command not allowed when 'upstream-output-limit' waits to be sent to the upstream"
#define UPSTREAM_LOST_ERROR                                                                        \
	"CLUSTERDOWN The link to the upstream was lost: the message may have been published or "   \
	"not"

/* For the link: the upstream has answered up to this mark. */
void server_upstream_answered(struct server *server, uint64_t answered);

/* For the link, if ops->is_reached is not NULL: some marks were reached. */
void server_upstream_answered_some(struct server *server);

/* For the link: it went up or down, or there is room for messages again. */
void server_upstream_changed(struct server *server);

#endif
