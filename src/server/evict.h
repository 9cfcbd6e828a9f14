#ifndef SERVER_EVICT_H
#define SERVER_EVICT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Eviction: keeps the keyspace below maxmemory, by maxmemory-policy. kv/eviction_policy.h chooses a
 * key, this module removes it (key_evict), in steps of bounded time. A command may run while
 * removed memory is still being freed. While writes are paused (CLIENT PAUSE) no key is evicted,
 * and no command is refused for lack of memory.
 */
struct kv_key;
struct server;

/*
 * Makes memory available for a command that may need more. False: it cannot, and the command must
 * be refused.
 */
bool evict_make_room(struct server *server) __attribute__((warn_unused_result));

/* Called once a turn. True if there is more work. */
bool evict_turn(struct server *server);

/*
 * note_new: the key was created. note_use: it was used. note_value: it got a new value and counts
 * as new, unless the policy counts uses.
 */
void evict_note_new(struct server *server, struct kv_key *key);
void evict_note_use(struct server *server, struct kv_key *key);
void evict_note_value(struct server *server, struct kv_key *key);

/* The use of a key, for OBJECT: idle seconds, or a count of uses if the policy counts them. */
bool evict_counts_uses(const struct server *server);
int64_t evict_idle_s(const struct server *server, const struct kv_key *key);
int64_t evict_uses(const struct server *server, const struct kv_key *key);

const char *evict_policy_name(const struct server *server);

/* True if Redis would share one object among all keys with the same small integer. */
bool evict_shares_integers(const struct server *server);

#endif
