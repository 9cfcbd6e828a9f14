#ifndef SERVER_STATISTICS_H
#define SERVER_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/history.h"
#include "pubsub/hub.h"
#include "pubsub/hub_replay.h"
#include "pubsub/outbox.h"

/*
 * Statistics: counters for INFO. The modules increment them directly; error replies are counted
 * here, by their code.
 */
struct hash_map;
struct latency_histogram;

/* Counters for INFO; CONFIG RESETSTAT sets them to zero. */
struct counters {
	uint64_t commands;
	uint64_t rejected_connections; /* over maxclients */
	uint64_t denied_connections;   /* protected mode */
	uint64_t evicted_clients;      /* closed: outbox exceeded its limits */
	uint64_t memory_waits;         /* publishes that waited for maxmemory-pubsub */
	uint64_t
	    memory_cut_clients;  /* closed: most queued bytes while maxmemory-pubsub was exceeded */
	uint64_t broken_clients; /* closed: invalid RESP */
	uint64_t errors;         /* error replies */
	uint64_t auth_failures;
	uint64_t delayed_logins;
	uint64_t denied_commands, denied_keys, denied_channels; /* by access control */
	uint64_t slowest_command_us;
	uint64_t skipped_notifications;
	uint64_t duplicate_messages;      /* of PUBLISHX, not published again */
	uint64_t presence_events;         /* of members and channels */
	uint64_t skipped_presence_events; /* not published */
	uint64_t resumes[HUB_VERDICTS];   /* answers of RESUME, by enum hub_verdict */
	uint64_t key_hits, key_misses, expired_keys, evicted_keys;
};

/* The largest use by any client, for INFO. */
struct client_peaks {
	size_t input_bytes;
	size_t outbox_bytes;
	size_t message_bytes; /* of outbox_bytes */
	size_t reply_bytes;   /* of outbox_bytes */
	uint32_t messages;
	uint32_t subscriptions;
	uint32_t joins; /* of members of channels */
};

/* Clients with subscriptions, by what their outboxes have. */
struct subscriber_counts {
	uint32_t by_policy[OUTBOX_POLICIES];
	uint32_t by_form[HUB_FORMS_MAX]; /* index of the wire form in the hub */
};

/* Counters of a command; same index as its row. */
struct command_stats {
	uint64_t calls;
	uint64_t usec;
	uint64_t rejected;
	uint64_t failed;
	struct latency_histogram *latency; /* owned; NULL: none was recorded yet */
};

struct statistics {
	struct counters counters;
	struct client_peaks peaks;            /* from the last complete sweep over the clients */
	struct subscriber_counts subscribers; /* ... */
	struct command_stats *commands;       /* one per row of the command table */
	size_t command_count;
	struct hash_map *errors;     /* code ("ERR") -> uint64_t *, at most 128 */
	struct hub_figures hub_base; /* counters at the last CONFIG RESETSTAT */
	struct history_figures history_base;
	struct hub_replay_figures replay_base;
	size_t startup_bytes; /* allocated bytes when the server was created */
	uint64_t started_us;
	uint64_t started_wall_us;
	char run_id[41];
};

void statistics_init(struct statistics *s, size_t command_count);
void statistics_release(struct statistics *s);

/* Sets the counters of all commands to zero. */
void statistics_reset_commands(struct statistics *s);

/* Counts an error reply by its code, the first word of text, for INFO's errorstats. As in Redis,
 * without a blank within the first 31 bytes the code is ERR. */
void statistics_count_error(struct statistics *s, struct slice text);

#endif
