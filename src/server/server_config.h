#ifndef SERVER_SERVER_CONFIG_H
#define SERVER_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kv/eviction_policy.h"
#include "kv/limits.h"
#include "pubsub/history.h"
#include "pubsub/hub.h"
#include "pubsub/outbox.h"
#include "pubsub/presence.h"

/*
 * The settings that the server reads. app fills them in, and calls server_reconfigured when they
 * change.
 */

/* The version that HELLO and INFO show to clients that choose features by version. */
#define SERVER_REDIS_VERSION "7.2.0"

/* client-output-buffer-limit of one class. */
struct server_buffer_limit {
	size_t hard_bytes; /* 0: none */
	size_t soft_bytes; /* 0: none */
	uint32_t soft_s;
};

enum server_class { SERVER_CLASS_NORMAL, SERVER_CLASS_REPLICA, SERVER_CLASS_PUBSUB };
#define SERVER_CLASSES 3

/* Of INFO latencystats. */
#define SERVER_PERCENTILES_MAX 16

struct server_config {
	const char *requirepass; /* of the user default; "" or NULL: none */
	const char *edge_user;   /* of clients with a door that proved no other; NULL: no doors */
	uint32_t maxclients;
	uint32_t acl_pubsub_default; /* 1: new users may subscribe to all channels */
	uint32_t acllog_max_len;
	uint32_t auth_delay_max_ms; /* 0: no delay after wrong passwords */
	bool has_edge_port; /* that user exists from the start, not only from the first on */
	bool protected_mode;
	uint32_t databases;  /* SELECT 0 .. databases-1 */
	struct kv_limits kv; /* limits up to which collections are packed */
	struct hub_limits hub;
	bool queue_groups;       /* SUBSCRIBE joins queue groups by queue names */
	uint32_t rated_channels; /* with a record of their publish rate */
	struct history_limits history;
	struct presence_limits presence;
	struct outbox_limits outbox; /* the defaults, and the maximum that a client may choose */
	uint32_t outbox_block_timeout_ms;
	size_t segment_bytes;
	struct server_buffer_limit buffer_limit[SERVER_CLASSES];
	int64_t slowlog_slower_than_us; /* -1: off, 0: every command */
	uint32_t slowlog_max_len;
	int64_t latency_threshold_ms; /* of LATENCY; 0: off */
	bool latency_tracking;
	double latency_percentiles[SERVER_PERCENTILES_MAX]; /* 0 to 100 */
	size_t latency_percentile_count;
	int64_t busy_reply_threshold_ms; /* 0 and less: never */
	size_t script_maxmemory_bytes;   /* 0: no limit */
	size_t proto_max_bulk_bytes;     /* also the maximum of a message */
	uint32_t timeout_s;              /* for INFO */
	size_t query_buffer_bytes;       /* for INFO; also the maximum of a transaction */
	uint32_t transaction_commands;
	uint32_t watched_keys; /* per client */
	struct {
		uint32_t keys, items; /* of the table; 0: no limit */
	} tracking;
	uint32_t idempotency_keys;    /* of PUBLISHX, all channels together */
	uint32_t resume_max_channels; /* armed channels per client */
	size_t maxmemory_bytes;       /* of the keyspace; 0: no limit */
	struct kv_eviction_rules evict;
	uint32_t debug_command; /* enum server_debug: which clients may call DEBUG */
	uint32_t notify_events; /* see notify.h */
	uint32_t shutdown_timeout_s;
	uint32_t shutdown_grace_s; /* of a lame-duck period after a signal; 0: none */
	int port;                  /* for INFO */
};

/* In the order of enable-debug-command's choices. */
enum server_debug { SERVER_DEBUG_NO, SERVER_DEBUG_YES, SERVER_DEBUG_LOCAL };

#endif
