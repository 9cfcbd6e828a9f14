#ifndef SERVER_CLIENT_H
#define SERVER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "pubsub/hub.h"

/*
 * A client: one connection as the server sees it. Inside the server layer only. Its subscriber holds the
 * outbox; `conn` is opaque and only ever handed to struct server_io.
 */
struct command;
struct job;
struct server;

enum client_reply_mode { CLIENT_REPLY_ON, CLIENT_REPLY_OFF, CLIENT_REPLY_SKIP_NEXT, CLIENT_REPLY_SKIP };

/* Why a request waits (SERVER_LATER). */
enum client_wait {
	CLIENT_WAITS_NOT,
	CLIENT_WAITS_FOR_JOB,   /* its own sliced command is not done */
	CLIENT_WAITS_FOR_ROOM,  /* a subscriber under OUTBOX_BLOCK is full */
	CLIENT_WAITS_FOR_PAUSE, /* CLIENT PAUSE */
};

struct client {
	struct subscriber subscriber; /* first: a subscriber is its client */
	struct server *server;
	void *conn;
	TAILQ_ENTRY(client) all;      /* in the order of ids */
	TAILQ_ENTRY(client) waiting;  /* while wait is ROOM or PAUSE */
	TAILQ_ENTRY(client) monitors;
	uint64_t id;
	char *address;                /* owned */
	char *local_address;
	char *name;                   /* owned, or NULL */
	char *lib_name;
	char *lib_version;
	uint64_t created_us;
	uint64_t active_us;
	uint64_t soft_since_us;       /* above the soft output limit since then; 0: not */
	const struct command *last_command;
	struct job *job;              /* a sliced command in progress */
	uint32_t db;
	uint8_t proto;                /* 2 or 3 */
	uint8_t reply_mode;           /* enum client_reply_mode */
	uint8_t wait;                 /* enum client_wait */
	bool authenticated;
	bool is_monitor;
	bool no_evict;
	bool no_touch;
	bool is_unix;
	bool refused;                 /* over maxclients or against protected mode */
	bool finishing;               /* io.finish or io.kill was asked for: no more requests */
	bool killed;                  /* by io.kill: as good as gone, CLIENT LIST does not show it */
	bool gone;                    /* closed; its subscriptions are being taken back in slices */
};

/* True while RESP2's subscribe mode restricts its commands. */
bool client_is_subscribed(const struct client *c);
uint32_t client_subscriptions(const struct client *c);

/* The line of CLIENT LIST, without a newline. */
void client_describe(const struct client *c, uint64_t now_us, struct buffer *out);

/*
 * Sets name, lib_name or lib_version; an empty value takes it away. False, and nothing changed, where
 * value has other bytes than '!' to '~' or is longer than CLIENT_ATTRIBUTE_MAX. In cmd_client.c.
 */
#define CLIENT_ATTRIBUTE_MAX 1024
bool client_attribute_set(char **attribute, struct slice value) __attribute__((warn_unused_result));

/* "id=7 addr=127.0.0.1:5000 user=default", for log lines. */
const char *client_label(const struct client *c, char *out, size_t out_len);

#endif
