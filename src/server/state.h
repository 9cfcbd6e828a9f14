#ifndef SERVER_STATE_H
#define SERVER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "acl/acl_log.h"
#include "acl/user.h"
#include "base/buffer.h"
#include "base/hash_map.h"
#include "base/random.h"
#include "base/rate_limit.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/command.h"
#include "server/disk.h"
#include "server/job.h"
#include "server/lame_duck.h"
#include "server/server.h"
#include "server/slowlog.h"

/*
 * What the files of the server layer share: the body of struct server. For this layer only.
 */
TAILQ_HEAD(clients, client);

struct kv;
struct kv_eviction_pool;
struct replay;

struct job {
	TAILQ_ENTRY(job) all;
	const struct job_kind *kind;
	void *state;
	struct client *client; /* or NULL */
	bool muted;            /* CLIENT REPLY said so when it began */
	bool running;          /* its step is being called */
	bool cancelled;        /* meanwhile: to be freed when the step returns */
};

TAILQ_HEAD(jobs, job);

/* Counters for INFO; CONFIG RESETSTAT sets them to zero. */
struct server_counters {
	uint64_t commands;
	uint64_t rejected_connections; /* over maxclients */
	uint64_t denied_connections;   /* protected mode */
	uint64_t evicted_clients;      /* closed: outbox past its limits */
	uint64_t memory_waits;         /* publishes that waited for maxmemory-pubsub */
	uint64_t memory_cut_clients;   /* closed: owed the most past maxmemory-pubsub */
	uint64_t broken_clients;       /* closed: no RESP */
	uint64_t errors;               /* error replies */
	uint64_t auth_failures;
	uint64_t delayed_logins;
	uint64_t denied_commands, denied_keys, denied_channels; /* by access control */
	uint64_t slowest_command_us;
	uint64_t skipped_notifications;
	uint64_t key_hits, key_misses, expired_keys, evicted_keys;
};

/* The most that any one client held, for INFO. */
struct server_peaks {
	size_t input_bytes;
	size_t outbox_bytes;
	size_t message_bytes; /* of outbox_bytes */
	size_t reply_bytes;   /* of outbox_bytes */
	uint32_t messages;
	uint32_t subscriptions;
};

/* memory_guard.c: what is owed in all stays under maxmemory-pubsub. */
struct memory_guard {
	/* Of the clients in WAIT_MEMORY now, as far as they can ever get it: */
	size_t wanted;          /* the most that one of their messages needs */
	uint64_t oldest_us;     /* the longest of them waits since then */
	bool is_stale;          /* ... this is to be worked out anew */
	bool is_short;          /* too little is free: */
	bool is_asked;          /* before anybody is cut, the waiting requests are tried again */
	uint64_t over_since_us; /* the limit is passed since then; 0: it is not */
	uint64_t relaxed_us;    /* there was room at that time */
	bool passing;           /* debtors are being looked for: */
	struct client *at;      /* where; NULL: a pass has ended */
	size_t threshold;       /* who is owed as much is cut in this pass */
	size_t most;            /* that anyone else is owed, as seen in this pass */
	size_t pending;         /* cut clients whose memory is not let go of yet: no more are cut */
	size_t cut_count;       /* while it is short */
	struct rate_limit log_limit;
};

/* journal.c, held.c: see journal.h. */
struct journal {
	bool is_on;   /* changes are collected */
	bool holds;   /* replies wait until they are kept */
	bool refuses; /* what would change something gets this error: */
	char refusal[320];
	bool has_failed; /* batches cannot be kept: what would be held gets this error: */
	char failure[320];
	bool is_crowded;     /* ... waits: too much is to be written already */
	struct buffer batch; /* of this turn */
	uint64_t taken;      /* batches: the number of the one that is being filled is one more */
	uint64_t kept;       /* number of the last that is on disk */
	uint32_t db;         /* that commands in the batch are for, from here on */
	bool has_db;         /* ... it says so */
	struct clients holding; /* who is held something */
	uint64_t changes;       /* since the last snapshot */
};

struct server {
	const struct server_config *config;
	struct server_io io;
	struct server_settings settings;
	struct server_disk disk; /* all NULL: nobody keeps anything */
	struct hub *hub;
	struct kv *kv;
	struct journal journal;
	struct replay *replay; /* commands are read from disk; else NULL */
	struct kv_eviction_pool *eviction_pool;
	struct random random;        /* for choices among keys and members */
	bool expires_on_access_only; /* DEBUG SET-ACTIVE-EXPIRE 0 */
	struct buffer log;           /* of the running command: what request_log put together */
	size_t log_count;            /* of commands in it */
	uint32_t log_db;             /* the database in which they begin ... */
	uint32_t log_at_db;          /* ... and, in a transaction, that which they have selected */
	struct clients clients;      /* in the order of ids */
	struct hash_map *clients_by_id; /* key: the 8 bytes of the id */
	struct buffer notify_channel;   /* of the notification that is being sent */
	struct hash_map *watched;       /* watch.c: database and name -> struct watched_key */
	struct blocked blocked;
	struct clients monitors;
	struct waits waits;
	struct clients gone; /* closed: their subscriptions are being taken back */
	size_t client_count;
	size_t gone_count;
	size_t subscriber_count; /* clients with at least one subscription */
	uint64_t next_id;
	struct jobs jobs;
	size_t job_count;
	const struct command_table *commands;
	struct command_stats *stats; /* one per row */
	struct hash_map *errors;     /* code ("ERR") -> uint64_t *, for errorstats; at most 128 */
	struct slowlog *slowlog;
	struct acl *acl;
	struct acl_user *default_user; /* of acl: whoever has not authenticated */
	struct acl_log acl_log;
	struct login_delays *login_delays;
	char requirepass_hash[ACL_HASH_LEN];
	struct server_counters counters;
	struct server_peaks peaks;      /* as of the last whole sweep over the clients */
	struct server_peaks peaks_next; /* of the sweep under way */
	struct hub_figures hub_base;    /* counters at the last CONFIG RESETSTAT */
	size_t startup_bytes;           /* allocated when the server was made */
	struct buffer reply;            /* of the running command */
	struct client *current;         /* whose command runs */
	uint64_t pause_until_us;        /* CLIENT PAUSE; 0: not paused */
	bool pause_all;                 /* else only what publishes */
	uint64_t started_us;
	uint64_t started_wall_us;
	uint64_t now_us; /* of this turn */
	uint64_t next_sweep_us;
	struct client *sweep_at; /* where the sweep over the clients is; NULL: at rest */
	uint32_t limits_version; /* grows when the configuration's limits may have changed */
	struct lame_duck lame_duck;
	char run_id[41];
	struct memory_guard memory;
	struct rate_limit log_limit; /* for what peers cause */
	/* instantaneous rates, sampled each 100 ms as Redis does */
	struct server_rate {
		uint64_t last_us, last_count;
		uint64_t samples[16];
		uint32_t at;
	} ops_rate, input_rate, output_rate;
};

/* What HELLO and INFO tell clients that look for features by version. */
#define SERVER_REDIS_VERSION "7.2.0"

/* CLIENT PAUSE, of writes at least: no key expires or is evicted meanwhile. now_us is monotonic. */
static inline bool
server_is_paused(const struct server *server, uint64_t now_us)
{
	return server->pause_until_us > now_us;
}

/* access.c: the user default has a password. */
bool server_has_password(const struct server *server);

/* wire.c: the wire forms of clients. */
enum server_form { SERVER_FORM_RESP2, SERVER_FORM_RESP3, SERVER_WIRE_FORMS };
extern const struct wire_form server_wire_forms[SERVER_WIRE_FORMS];

/* sweep.c: limits that time has a part in. Returns in how many us it wants to be called again. */
uint64_t server_sweep(struct server *server, uint64_t now_us);

/*
 * keys.c. _finish: the handler of rq is done, what it changed goes to the append-only file; in a
 * transaction it is kept until keys_commit. _turn: keys that are due and what was removed; in how
 * many us it wants to be called again, 0: at once.
 */
void keys_finish(struct request *rq);
void keys_commit(struct server *server, struct client *c);
uint64_t keys_turn(struct server *server, uint64_t deadline_us);

/* journal.c: commands, in RESP, that changed database db; after a crash all are there or none. */
void journal_append(struct server *server, uint32_t db, struct slice commands, size_t count);

/*
 * memory_guard.c. _joined: a client waits in WAIT_MEMORY; _left: it does no more. _turn: once a
 * turn, in how many us it wants to be called again. _forget: the client leaves the list; _released:
 * it is freed.
 */
void memory_guard_joined(struct client *c);
void memory_guard_left(struct client *c);
uint64_t memory_guard_turn(struct server *server, uint64_t now_us);
void memory_guard_forget(struct client *c);
void memory_guard_released(struct client *c);

/* dispatch.c: the client's request has ended, in whatever way: what it had claimed is given up. */
void request_over(struct client *c);

/* dispatch.c: what the commands of EXEC have in common with others, see cmd/transaction.c. */
void request_execute_queued(struct request *rq);

/* The same for a client that waited for a key, see blocked.c. False: it goes on waiting. */
bool request_execute_blocked(struct request *rq);
void request_end_blocked(struct request *rq); /* its reply is made already */

/* monitor.c */
void monitor_start(struct client *c);
void monitor_stop(struct client *c);
void monitor_feed(struct server *server, const struct request *rq);

#endif
