#ifndef SERVER_KEY_REMOVAL_H
#define SERVER_KEY_REMOVAL_H

#include <stdint.h>

/*
 * Key removal: keys that the server removes by itself, because they expired or to free memory. It
 * informs subscribers of keyspace events, clients that watch or cache the key, and the append-only
 * file.
 */
struct kv_db;
struct kv_key;
struct server;

/* Removes an expired key. */
void key_expire(struct server *server, struct kv_db *db, struct kv_key *key);

/* Removes the key to free memory. */
void key_evict(struct server *server, struct kv_db *db, struct kv_key *key);

/*
 * Called once a turn: removes expired keys and frees removed values, until deadline_us. Returns the
 * time until the next call, in us; 0: call again at once.
 */
uint64_t key_removal_turn(struct server *server, uint64_t deadline_us);

#endif
