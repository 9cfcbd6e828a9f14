#ifndef SERVER_CLIENT_H
#define SERVER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "pubsub/hub.h"
#include "server/core.h"
#include "server/io.h"
#include "server/wait_state.h"
#include "server/watch.h"

/*
 * A client: one connection as the server sees it. Inside the server layer only. Its subscriber
 * holds the outbox; `conn` is opaque and only ever handed to struct server_io.
 */
struct acl_user;
struct block;
struct command;
struct held;
struct job;
struct server;
struct transaction;

enum client_reply_mode {
	CLIENT_REPLY_ON,
	CLIENT_REPLY_OFF,
	CLIENT_REPLY_SKIP_NEXT,
	CLIENT_REPLY_SKIP
};

/* What OUTBOX SET chose: bits of struct client's chosen. */
enum client_choice {
	CLIENT_CHOSE_POLICY = 1 << 0,
	CLIENT_CHOSE_BYTES = 1 << 1,
	CLIENT_CHOSE_MESSAGES = 1 << 2,
	CLIENT_CHOSE_NOTIFY = 1 << 3,
};

struct client {
	struct subscriber subscriber;
	struct server *server;
	void *conn;
	TAILQ_ENTRY(client) all; /* in the order of ids; of the gone ones when it is gone */
	TAILQ_ENTRY(client) monitors;
	TAILQ_ENTRY(client) holding; /* while held is not NULL */
	struct acl_user *user;       /* a reference */
	struct acl_look *look; /* owned; where a check of its request is that takes many turns */
	uint64_t login_at_us;  /* when its login is looked at; 0: it did not wait */
	uint64_t id;
	char origin[SERVER_ORIGIN_MAX]; /* of its address: see struct server_peer */
	uint8_t origin_len;
	char *address; /* owned */
	char *local_address;
	char *name; /* owned, or NULL */
	char *lib_name;
	char *lib_version;
	uint64_t created_us;
	uint64_t active_us;
	uint64_t soft_since_us; /* above the soft output limit since then; 0: not */
	const struct command *last_command;
	struct wait wait;
	struct hub_publication publication; /* of the message that its request publishes */
	struct block *block;                /* while it waits for a key; blocked.c's */
	struct job *job;                    /* a sliced command in progress */
	const struct command *running;      /* COMMAND_AGAIN: the command in progress, else NULL */
	size_t progress;                    /* the handler's own, 0 when a command begins */
	uint64_t running_us;                /* spent on it so far */
	struct buffer partial;              /* its reply so far */
	struct transaction *transaction;    /* owned, since MULTI; else NULL */
	struct buffer *exec_reply; /* of that command of a transaction which runs now; else NULL */
	struct client_watch watch;
	struct outbox_limits limits; /* where OUTBOX SET chose: */
	uint8_t chosen;              /* enum client_choice */
	uint32_t limits_version;     /* of server->limits_version when they were last applied */
	uint32_t rules_version;      /* likewise, when what it is subscribing to was allowed */
	struct held *held;           /* owned: replies that wait for the disk; NULL: none */
	uint64_t awaited_disk;       /* SAVE: until so many snapshots have ended; CONFIG SET: an
					attempt to switch the log on; 0: neither */
	uint64_t unkept;             /* the batch that its last change is in */
	uint32_t db;
	uint8_t proto;      /* 2 or 3 */
	uint8_t reply_mode; /* enum client_reply_mode */
	bool authenticated;
	bool job_ended;          /* the request that started it need not be executed again */
	bool counted_user;       /* in user->clients */
	bool counted_subscriber; /* in clients->subscriber_count */
	bool told_subscriber;    /* to io */
	bool is_monitor;
	bool has_changed;   /* its command has, and its reply is to be held */
	bool has_pushed;    /* ... before messages that the command brought or asked for */
	bool has_new_state; /* it changed its subscriptions, protocol or user */
	bool no_evict;
	bool no_touch;
	bool wants_going_away; /* OUTBOX SET GOING-AWAY */
	bool is_unix;
	bool is_loopback;
	bool refused;        /* over maxclients or against protected mode */
	bool finishing;      /* io.finish or io.kill was asked for: no more requests */
	bool killed;         /* by io.kill: as good as gone, CLIENT LIST does not show it */
	bool parting;        /* finished by the lame duck */
	bool memory_pending; /* cut, and what it was owed is not all let go of */
	bool gone;           /* closed; its subscriptions are being taken back in slices */
};

/* Copies. Any size; behind what is queued, see outbox_push_reply. Only held.h calls this: what
 * others send may have to be held. */
void client_send_reply(struct client *c, struct slice reply);

/* The client's request has ended, in whatever way: what it had claimed is given up. */
void client_request_over(struct client *c);

/* To be called after subscribing and unsubscribing, and where MONITOR begins or ends: tells io,
 * counts subscribers. */
void client_subscriptions_changed(struct client *c);

void client_set_proto(struct client *c, int proto);

/* True where CLIENT REPLY says that replies are dropped; pushes never are. */
bool client_is_muted(const struct client *c);

/* True if something may be pushed to it between its replies: then a reply must be pushed whole. */
bool client_is_pushed_to(const struct client *c);

/* MULTI and WATCH as if they had not been. */
void client_discard_transaction(struct client *c);

/* True while RESP2's subscribe mode restricts its commands. */
bool client_is_subscribed(const struct client *c);
uint32_t client_subscriptions(const struct client *c);

/* The line of CLIENT LIST, without a newline. */
void client_describe(const struct client *c, uint64_t now_us, struct buffer *out);

/* "id=7 addr=127.0.0.1:5000 user=default", for log lines. */
const char *client_label(const struct client *c, char *out, size_t out_len);

#endif
