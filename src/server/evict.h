#ifndef SERVER_EVICT_H
#define SERVER_EVICT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Eviction: keeps the keyspace below maxmemory, as maxmemory-policy says. kv/eviction_policy.h
 * chooses a key, this module removes it (keys_evict), in steps of bounded time. A command may run
 * while removed memory is still being freed. While writes are paused (CLIENT PAUSE) nothing is
 * evicted, and no command is refused for lack of memory.
 */
struct kv_key;
struct server;

/* Memory has been made for a command that may need more; false: it can't be, and no more may be
 * used. */
bool evict_make_room(struct server *server) __attribute__((warn_unused_result));

/* Once a turn. True if there is more to be done at once. */
bool evict_turn(struct server *server);

/* The key was made, or used; or it got another value, which under LRU is as new as a new key's. */
void evict_note_new(struct server *server, struct kv_key *key);
void evict_note_use(struct server *server, struct kv_key *key);
void evict_note_value(struct server *server, struct kv_key *key);

/* How the key was used, for OBJECT: seconds, or a count where the policy counts uses. */
bool evict_counts_uses(const struct server *server);
int64_t evict_idle_s(const struct server *server, const struct kv_key *key);
int64_t evict_uses(const struct server *server, const struct kv_key *key);

const char *evict_policy_name(const struct server *server);

/* Whether Redis would have one object for all keys with the same small integer. */
bool evict_shares_integers(const struct server *server);

#endif
