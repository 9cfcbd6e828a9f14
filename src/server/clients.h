#ifndef SERVER_CLIENTS_H
#define SERVER_CLIENTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/*
 * Clients: the lists of all clients. Only server.c adds to them and removes from them;
 * client_walk.h visits them.
 */
struct client;
struct hash_map;

TAILQ_HEAD(client_list, client);

struct clients {
	struct client_list open;      /* in the order of ids */
	struct hash_map *by_id;       /* key: the 8 bytes of the id */
	struct client_list gone;      /* closed; their subscriptions are being removed */
	struct client_list dismissed; /* in open; their queues are being cut, see client_end.h */
	size_t count;                 /* in open */
	size_t gone_count;
	size_t parting;          /* in open */
	size_t subscriber_count; /* clients with at least one subscription */
	size_t armed_count;      /* channels and patterns that are armed (armed.h) */
	size_t armed_bytes;      /* their memory, estimated */
	uint64_t last_id;
};

#endif
