#ifndef SERVER_CORE_H
#define SERVER_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Core: struct server, a list of pointers to the modules' structs, whose contents it does not know.
 * A file that uses one of them includes the header of that module. client.h and request.h include
 * this header.
 */
struct access;
struct blocked;
struct buffer;
struct channel_rates;
struct client_list;
struct clients;
struct command_table;
struct hash_map;
struct history_waits;
struct hub;
struct idempotency;
struct jobs;
struct journal;
struct kv;
struct kv_eviction_pool;
struct lame_duck;
struct latency_monitor;
struct memory_guard;
struct metrics_source;
struct pause;
struct presence_service;
struct propagation;
struct random;
struct rate_limit;
struct rates;
struct replay;
struct scripts;
struct server_config;
struct server_disk;
struct server_io;
struct sent_messages;
struct server_settings;
struct slowlog;
struct statistics;
struct sweep;
struct sync_waits;
struct tracking;
struct upstream;
struct waits;

struct server {
	/* Given by app: */
	const struct server_config *config;
	const struct server_io *io;
	const struct server_settings *settings;
	const struct command_table *commands;
	struct server_disk *disk; /* all NULL: no persistence */

	struct hub *hub;
	struct channel_rates *channel_rates; /* see max-rated-channels */
	struct idempotency *idempotency;     /* keys of PUBLISHX */
	struct clients *clients;
	struct access *access;
	struct waits *waits;
	struct jobs *jobs;
	struct pause *pause;
	struct blocked *blocked;
	struct history_waits *history_waits;
	struct sync_waits *sync_waits;
	struct client_list *monitors;
	struct sweep *sweep;
	struct lame_duck *lame_duck;
	struct memory_guard *memory_guard;
	struct presence_service *presence;

	struct kv *kv;
	struct kv_eviction_pool *eviction_pool;
	struct hash_map *watched;  /* watch.c: database and name -> struct watched_key */
	struct tracking *tracking; /* keys that clients cache */
	struct propagation *propagation;
	struct journal *journal;
	struct replay *replay; /* while commands are replayed from disk; otherwise NULL */
	struct sent_messages *sent_messages; /* to the upstream */
	struct upstream *upstream;           /* the link to another server, or NULL */
	struct scripts *scripts;             /* owned; NULL: there are none in this build */
	bool expires_on_access_only;         /* DEBUG SET-ACTIVE-EXPIRE 0 */

	struct statistics *statistics;
	struct rates *rates;
	struct slowlog *slowlog;
	struct latency_monitor *latency_monitor;
	struct metrics_source *metrics_sources; /* a list: see metrics.h */

	struct random *random;        /* for random keys and members */
	struct rate_limit *log_limit; /* for log lines that peers cause */
	struct buffer *reply;         /* of the running command */
	struct buffer *notify_channel;
	uint64_t now_us;         /* time of this turn */
	uint32_t limits_version; /* incremented when rules or limits of clients may have changed */
};

#endif
