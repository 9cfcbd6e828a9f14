#ifndef LINK_CLUSTER_PARTS_H
#define LINK_CLUSTER_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/rate_limit.h"
#include "link/cluster_config.h"
#include "link/cluster_globs.h"
#include "link/cluster_state.h"
#include "link/link.h"
#include "link/refusal.h"
#include "link/shard_marks.h"
#include "link/shared_names.h"
#include "link/slots.h"
#include "link/unanswered.h"
#include "pubsub/hub.h"
#include "server/upstream.h"

/* The parts of a cluster. For the files of cluster.h only. */

#define SHARD_NONE UINT16_MAX
#define PASSED_ON_US ((uint64_t)250000)               /* see shard_delay_heir() */
#define CLUSTER_SHARDS ((size_t)SLOT_MASTERS_MAX * 2) /* old and new ones */
#define CLUSTER_GLOBS_SOURCE (CLUSTER_SHARDS + 1)     /* of marks */
#define CLUSTER_CHANNEL_MAX (SLOT_PREFIX_MAX + 16)    /* of probes */

/* A shard's master, or a seed. */
struct shard {
	struct cluster *cluster;
	uint16_t number; /* in cluster->shards; SHARD_NONE: a seed */
	char host[SLOT_HOST_MAX + 1];
	uint16_t port;
	size_t slots;        /* that it serves; 0: it is closed when all is answered */
	void *connection;    /* of the io; NULL: there is none yet */
	uint64_t connect_us; /* then it is tried again */
	struct link_config config;
	struct link *link;
	struct unanswered_queue unanswered;
	uint64_t since_us; /* when it was made */
	uint64_t opened_us;
	uint16_t heir;        /* that serves what it served last; SHARD_NONE: nobody */
	uint64_t drained_us;  /* since then it serves nothing, and is to answer; 0: it does not */
	bool has_failed;      /* to be linked, or its link was lost */
	bool has_stale;       /* it has redirected names of stale slots */
	bool has_probe;       /* its channel was chosen */
	bool was_up;          /* at the end of the last turn */
	bool is_lost;         /* the connection of a seed: the next one is tried */
	bool is_feed_new;     /* since it was linked, some of its channels were never joined */
	uint64_t tells, told; /* calls of link_tell(), and answers */
	struct buffer newest; /* the channel of the message before; empty: it was a copy */
};

/* Subscriptions of names of a slot that a master has redirected, or has ended by itself. */
struct slot_redirects {
	uint64_t since_us, last_us; /* 0: there were none */
};

struct cluster {
	struct upstream upstream;    /* the first member: the server knows the cluster by it */
	struct hub_interest watcher; /* of the hub */
	struct server *server;
	const struct leaf_settings *settings;
	struct cluster_io io;
	enum cluster_state state;
	char *address, *user, *password;
	struct cluster_seed *seeds;
	size_t seed_count, next_seed;
	struct shard *seed; /* owned, or NULL */

	struct shard *shards[CLUSTER_SHARDS]; /* owned, or NULL */
	size_t top;                           /* there are none from here on */
	uint16_t served_by[SLOTS];            /* by the number; SHARD_NONE: by nobody */
	size_t served;                        /* slots that somebody serves */
	uint16_t
	    stale_by[SLOTS]; /* the shard that has redirected, while the topology is being asked */
	size_t stale;        /* such slots */
	struct slot_redirects redirects[SLOTS];
	struct slot_map *read;   /* owned: the newest answer, until cluster_turn() */
	struct shard *read_from; /* NULL: there is none */
	uint64_t epoch;          /* of the newest map */
	uint64_t older_us;       /* since then all maps were older; 0: the last one was not */
	uint64_t answers; /* maps that were taken, and times that slots stopped to be stale */
	uint64_t ask_us;  /* then the topology is asked again, if something is wrong */
	uint64_t ask_delay_us;
	uint64_t linking_us; /* since when it is CLUSTER_LINKING */
	size_t next_asked;

	struct slot_numbers probes; /* channels of probes */
	struct shared_names *names;
	struct shard_marks
	    marks; /* by the number; CLUSTER_SHARDS: `answers`; or CLUSTER_GLOBS_SOURCE */
	struct unanswered *unanswered;
	struct cluster_globs *globs; /* owned */
	struct link_figures past;    /* of shards that were closed */
	struct rate_limit log_limit;
	char error[LINK_ERROR_MAX]; /* why a connection ended last */
	uint64_t logged_us;
	uint64_t changed_us; /* when the state changed */
	uint64_t missed;     /* messages that could not be delivered here */
	uint64_t resent;     /* times that a message was sent again, to another shard or this one */
	uint64_t refused;    /* messages that no shard has refused, but none has taken */
	uint64_t now_us;     /* of the call in progress */
	bool holds_back;     /* publishers wait for room */
	bool holds_order;    /* publishers wait because of the order of messages */
	bool may_go_on;      /* of these */
	uint64_t go_on_us;   /* at this time they may; 0: at none */
	bool has_own_history; /* see struct leaf */
	uint64_t seed_us;     /* then the next seed is tried */
	unsigned seed_attempts;
	uint64_t resend_us;
};

/* cluster_shard.c */
struct shard *shard_new(struct cluster *cluster, uint16_t number, const char *host, uint16_t port);
void shard_free(struct shard *shard);
void shard_connect(struct shard *shard); /* if it has no connection */
bool shard_is_up(const struct shard *shard);
size_t shard_queued_bytes(const struct shard *shard);
void shard_send(struct shard *shard, struct unanswered_message *message); /* takes it */
void shard_lose_messages(struct shard *shard);
void shard_forget_marks(struct shard *shard); /* nobody waits for its answers any more */
struct link_figures cluster_sum_figures(const struct cluster *cluster);
void cluster_each_shard(const struct upstream *upstream,
    void (*put)(void *arg, const struct upstream_shard *shard), void *arg);
void cluster_settle(
    struct cluster *cluster, struct unanswered_message *message, struct slice error); /* takes it */
/* The same with an error that no shard has said. */
void cluster_refuse(
    struct cluster *cluster, struct unanswered_message *message, struct slice error);
/* A client that wants to subscribe need not wait for the names of the slot. */
bool cluster_redirects_names(const struct cluster *cluster, uint16_t slot);
void cluster_note_stale(struct cluster *cluster, struct shard *shard, uint16_t slot);
/* A copy that has come because of a pattern. */
void cluster_post_copy(struct shard *shard, struct slice channel, struct slice payload);
struct shard *cluster_shard_of(const struct cluster *cluster, uint16_t slot); /* or NULL */

/* cluster_map.c */
const char *cluster_read_map(
    struct shard *shard, struct slice info, const struct resp_value *slots, bool is_replica);
void cluster_take_map(struct cluster *cluster);
/* Those that serve nothing, and have answered all messages or take too long; at_once: all. */
void cluster_close_shards(struct cluster *cluster, bool at_once);
/* A shard that serves nothing any more has passed messages on to its heir, or may have. */
void shard_delay_heir(struct shard *shard);
void cluster_clear_stale(struct cluster *cluster, struct shard *shard);
/* Asks for the topology if that is due. Returns when to call it again. */
uint64_t cluster_ask(struct cluster *cluster);

/* cluster_upstream.c */
extern const struct upstream_ops cluster_upstream_ops;

#endif
