#ifndef SERVER_CLIENT_H
#define SERVER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "pubsub/hub.h"
#include "pubsub/presence.h"
#include "pubsub/queue_group.h"
#include "server/client_state.h"
#include "server/core.h"
#include "server/io.h"
#include "server/wait_state.h"
#include "server/watch.h"

/*
 * A client: one connection as the server sees it. Used inside the server layer only. Its subscriber
 * holds the outbox; client_conn() is opaque and only passed to struct server_io. Members
 * that few clients need at a time are in separate structs, which are allocated on demand (pending,
 * session, held).
 */
struct acl_user;
struct client_tracking;
struct client_peer;
struct command;
struct door;
struct hash_map;
struct held;
struct server;
struct transaction;

enum client_reply_mode {
	CLIENT_REPLY_ON,
	CLIENT_REPLY_OFF,
	CLIENT_REPLY_SKIP_NEXT,
	CLIENT_REPLY_SKIP
};

/* What may be armed: HUB_CHANNEL and HUB_PATTERN. */
#define SESSION_ARMED_KINDS 2

/* The settings that OUTBOX SET chose: bits of `chosen` in struct session. */
enum client_choice {
	CLIENT_CHOSE_POLICY = 1 << 0,
	CLIENT_CHOSE_BYTES = 1 << 1,
	CLIENT_CHOSE_MESSAGES = 1 << 2,
	CLIENT_CHOSE_NOTIFY = 1 << 3,
};

/*
 * State of a client that only some commands create: its names, MULTI and WATCH, OUTBOX SET,
 * MONITOR, PRESENCE JOIN, RESUME, PRESUME, CLIENT TRACKING, AUTH with a token. A client with a door
 * has one as long as it exists.
 *
 * Invariant: client->session is NULL while none of it is in use. The code that removes a part calls
 * session_trim.
 */
struct session {
	struct transaction *transaction; /* owned, from MULTI on; otherwise NULL */
	struct client_watch watch;
	struct presence_owner presence;
	char *name; /* owned, or NULL */
	char *lib_name;
	char *lib_version;
	struct outbox_limits limits;  /* the limits chosen by OUTBOX SET */
	uint8_t chosen;               /* enum client_choice */
	uint32_t token_place;         /* in access->token_ends, if token_ends_us is not 0 */
	uint64_t token_ends_us;       /* when the token that it logged in with ends; 0: never */
	uint64_t soft_since_us;       /* when it began to exceed the soft limit; 0: it does not */
	TAILQ_ENTRY(client) monitors; /* while client->is_monitor */
	struct hash_map *armed[SESSION_ARMED_KINDS]; /* owned: see armed.h; NULL: none */
	size_t armed_bytes;                          /* their memory, estimated */
	struct door *door;                           /* borrowed, see door.h; NULL: RESP */
	TAILQ_ENTRY(client) dismissed;               /* while is_dismissed */
	uint8_t dismissed_why;                       /* enum door_end */
	bool is_dismissed;                           /* its queue is being cut: client_end.h */
	bool is_slow;                                /* it does not read: tracking_push.h */
	struct client_tracking *tracking;            /* owned; NULL: see tracking_state.h */
	struct buffer late;       /* pushes that follow the reply in progress: tracking_push.h */
	size_t pushed_bytes;      /* at most so many waiting bytes are such pushes */
	TAILQ_ENTRY(client) slow; /* while is_slow */
};

struct client {
	struct subscriber subscriber; /* its outbox.io is the connection, see client_conn */
	struct server *server;
	TAILQ_ENTRY(client) all; /* in clients->open in the order of ids, or in clients->gone */
	struct acl_user *user;   /* a reference */
	uint64_t id;
	struct client_peer *peer; /* owned */
	struct pending *pending;  /* owned: the request in progress; NULL: none */
	struct session *session;  /* owned: state that commands have created; NULL: none */
	struct held *held;        /* owned: replies that wait for the disk; NULL: none */
	uint64_t active_us;
	uint32_t limits_version; /* server->limits_version when the limits were last applied */
	uint32_t db;
	uint16_t last_command; /* index of its row + 1; 0: none, see client_last_command */
	uint8_t proto;         /* 2 or 3 */
	uint8_t reply_mode;    /* enum client_reply_mode */
	uint8_t state;         /* enum client_state */
	bool authenticated : 1;
	bool counted_user : 1;       /* in user->clients */
	bool counted_subscriber : 1; /* in clients->subscriber_count */
	bool told_subscriber : 1;    /* io knows that it is a subscriber */
	bool is_monitor : 1;
	bool no_evict : 1;
	bool no_touch : 1;
	bool wants_going_away : 1; /* OUTBOX SET GOING-AWAY */
	bool no_echo : 1;          /* OUTBOX SET ECHO no: it does not get what it publishes */
	bool wants_positions : 1;  /* OUTBOX SET POSITIONS */
};

/* A size class of jemalloc. */
_Static_assert(sizeof(struct client) <= 320, "an idle client takes more memory");

/* The connection, as io knows it; not valid after it has closed. */
static inline void *
client_conn(const struct client *c)
{
	return c->subscriber.outbox.io;
}

/* The command that it called last; NULL: none. */
const struct command *client_last_command(const struct client *c);

/* True if it accepts requests. */
static inline bool
client_is_open(const struct client *c)
{
	return c->state == CLIENT_OPEN;
}

/* True if it was killed or closed: it is in no list that is shown. */
static inline bool
client_is_dead(const struct client *c)
{
	return c->state >= CLIENT_KILLED;
}

/* True if it is closed: io must not be called for it. */
static inline bool
client_is_gone(const struct client *c)
{
	return c->state >= CLIENT_GONE;
}

/* In client_session.c. session_of creates it if there is none. */
struct session *session_of(struct client *c);

/* Frees the session if no part of it is in use. */
void session_trim(struct client *c);

/* The client is freed; its transaction, watches, joins and tracking were removed before. */
void session_drop(struct client *c);

/* The number of members that it has joined. */
static inline uint32_t
client_join_count(const struct client *c)
{
	return c->session != NULL ? c->session->presence.count : 0;
}

/* NULL outside of MULTI. */
static inline struct transaction *
client_transaction(const struct client *c)
{
	return c->session != NULL ? c->session->transaction : NULL;
}

/* NULL: it speaks RESP. See door.h. */
static inline struct door *
client_door(const struct client *c)
{
	return c->session != NULL ? c->session->door : NULL;
}

/* "" if it has none. */
const char *client_name(const struct client *c);

/* Why its request waits. */
static inline enum wait_reason
client_waits_for(const struct client *c)
{
	return c->pending != NULL ? (enum wait_reason)c->pending->wait.reason : WAIT_NOT;
}

/* The number of keys that it watches. */
static inline uint32_t
client_watch_count(const struct client *c)
{
	return c->session != NULL ? c->session->watch.count : 0;
}

/*
 * Queues a reply of any size behind the output already queued, see outbox_push_reply. Copies. Only
 * held.c calls it: replies of other callers may have to be held.
 */
void client_send_reply(struct client *c, struct slice reply);

/* The client's request has ended, for any reason: ends its publication, which frees its drafts and
 * its place in the order of publishers, and clears its progress. */
void client_request_over(struct client *c);

/*
 * Called after subscriptions changed, and when MONITOR begins or ends: tells io and counts
 * subscribers.
 */
void client_subscriptions_changed(struct client *c);

void client_set_proto(struct client *c, int proto);

/* Chooses whether the payloads of later messages begin with their positions. */
void client_set_positions(struct client *c, bool wants_positions);

/* True if CLIENT REPLY drops replies; pushes are never dropped. */
bool client_is_muted(const struct client *c);

/*
 * True if messages may be pushed to it between its replies: each reply must then be sent in one
 * piece.
 */
bool client_is_pushed_to(const struct client *c);

/* Discards the transaction and all watches. */
void client_discard_transaction(struct client *c);

/* True while RESP2's subscribe mode restricts its commands. */
bool client_is_subscribed(const struct client *c);

/* Of all kinds. */
static inline uint32_t
client_subscriptions(const struct client *c)
{
	const uint32_t *count = c->subscriber.count;

	return count[HUB_CHANNEL] + count[HUB_PATTERN] + count[HUB_SHARD] +
	       (c->subscriber.in_queues ? hub_queues_of(&c->subscriber) : 0);
}

/* The line of CLIENT LIST, without a newline. */
void client_describe(const struct client *c, uint64_t now_us, struct buffer *out);

/* "id=7 addr=127.0.0.1:5000 user=default", for log lines. */
const char *client_label(const struct client *c, char *out, size_t out_len);

#endif
