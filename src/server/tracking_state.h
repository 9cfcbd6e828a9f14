#ifndef SERVER_TRACKING_STATE_H
#define SERVER_TRACKING_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/clients.h"
#include "server/tracking_table.h"

/*
 * State of tracking (tracking.h), for the files of that module only. Invariants: an item of the
 * table belongs to a client that is not freed; items outlive CLIENT TRACKING OFF, as in Redis.
 */
struct client;
struct prefix_tree;
struct tracked_prefix;

/* The options of CLIENT TRACKING: bits of `options`. */
enum tracking_option {
	TRACKING_BCAST = 1 << 0,
	TRACKING_OPTIN = 1 << 1,
	TRACKING_OPTOUT = 1 << 2,
	TRACKING_NOLOOP = 1 << 3,
};

/* What CLIENT TRACKING has made of one client; it exists until the client is freed. */
struct client_tracking {
	struct tracking_owner owner; /* the keys that it has read */
	struct client *client;
	TAILQ_ENTRY(client_tracking) all; /* while is_on */
	struct prefix_tree *prefixes;     /* owned, see tracking_prefixes.h; NULL: none */
	struct slice listed;              /* by CLIENT TRACKINGINFO so far; borrows */
	uint32_t batch;                   /* of the last prefixes, see tracking_prefixes.h */
	uint64_t redirect;                /* the id of the client that is informed; 0: itself */
	uint64_t new_redirect;            /* of a command that is adding its prefixes */
	uint8_t new_options;              /* the same */
	uint8_t options;                  /* enum tracking_option */
	bool is_on;
	bool is_broken; /* the client that is informed has left */
	bool caching;   /* CLIENT CACHING was called for the next command */
};

TAILQ_HEAD(client_trackings, client_tracking);
TAILQ_HEAD(tracked_prefixes, tracked_prefix);

struct tracking {
	struct tracking_table table;
	struct client_trackings clients; /* that are on */
	size_t client_count;
	struct prefix_tree *prefixes;    /* name -> struct tracked_prefix */
	struct tracked_prefixes changed; /* with changed keys that were not told yet */
	size_t changed_bytes;            /* of the names of these keys */
	struct client *executing;        /* whose command is being executed; NULL: none */
	struct client_list slow;         /* exceed their limits, and are closed in the next turn */
};

#endif
