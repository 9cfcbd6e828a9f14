#ifndef SERVER_KEY_REMOVAL_H
#define SERVER_KEY_REMOVAL_H

#include <stdint.h>

/*
 * Key removal: keys that the server removes by itself, because their time is up or to make room.
 * Subscribers of keyspace events, clients that watch the key, and the append-only file learn of it.
 */
struct kv_db;
struct kv_key;
struct server;

/* Removes a key whose time is up. */
void key_expire(struct server *server, struct kv_db *db, struct kv_key *key);

/* Removes the key to make room. */
void key_evict(struct server *server, struct kv_db *db, struct kv_key *key);

/* Once a turn: removes keys whose time is up and frees removed values, until deadline_us. Returns
 * in how many us it wants to be called again; 0: at once. */
uint64_t key_removal_turn(struct server *server, uint64_t deadline_us);

#endif
