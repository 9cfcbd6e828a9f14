#include "config.h"

#include "server/evict.h"

#include "base/clock.h"
#include "kv/eviction_policy.h"
#include "kv/keyspace.h"
#include "kv/memory.h"
#include "server/core.h"
#include "server/key_removal.h"
#include "server/latency_monitor.h"
#include "server/pause.h"
#include "server/server_config.h"

/* The time that one command, or one turn, may spend on eviction. */
#define STEP_US 500

/* Elements freed between two checks of the used memory. */
#define FREED_A_LOOK 64

/* Keys evicted between two checks of the clock. */
#define KEYS_A_LOOK 8

enum evicting { EVICT_ENOUGH, EVICT_NOTHING, EVICT_MORE };

static bool
is_over(const struct server *server)
{
	size_t most = server->config->maxmemory_bytes;

	return most != 0 && kv_used_bytes() > most;
}

static uint64_t
now_s(const struct server *server)
{
	return server->now_us / 1000000;
}

/* True if it freed something. */
static bool
free_more(struct server *server)
{
	const struct kv_eviction_rules *rules = &server->config->evict;
	size_t before = kv_used_bytes();
	struct kv_key *key;
	struct kv_db *db;

	/* Values that are removed already are freed first. */
	if (kv_lazy_free_some(server->kv, FREED_A_LOOK) || kv_used_bytes() < before)
		return true;
	key =
	    kv_eviction_pool_pick(server->eviction_pool, rules, now_s(server), server->random, &db);
	if (key == NULL)
		return false;
	key_evict(server, db, key);
	return true;
}

static enum evicting
evict_some(struct server *server, uint64_t begun_us)
{
	size_t n;

	for (n = 1; free_more(server); n++) {
		if (!is_over(server))
			return EVICT_ENOUGH;
		if (n % KEYS_A_LOOK == 0 && clock_mono_us() - begun_us >= STEP_US)
			return EVICT_MORE;
	}
	return EVICT_NOTHING;
}

static enum evicting
evict(struct server *server)
{
	enum evicting result;
	uint64_t begun_us;

	if (!is_over(server) || server_is_paused(server, server->now_us))
		return EVICT_ENOUGH;
	begun_us = clock_mono_us();
	result = evict_some(server, begun_us);
	latency_note(server, LATENCY_EVICTION_CYCLE, clock_mono_us() - begun_us);
	return result;
}

bool
evict_make_room(struct server *server)
{
	return evict(server) != EVICT_NOTHING;
}

bool
evict_turn(struct server *server)
{
	return evict(server) == EVICT_MORE;
}

void
evict_note_new(struct server *server, struct kv_key *key)
{
	kv_set_access(key, kv_use_first(&server->config->evict, now_s(server)));
}

void
evict_note_use(struct server *server, struct kv_key *key)
{
	kv_set_access(key,
	    kv_use_again(&server->config->evict, kv_access(key), now_s(server), server->random));
}

void
evict_note_value(struct server *server, struct kv_key *key)
{
	if (!evict_counts_uses(server))
		evict_note_new(server, key);
}

bool
evict_counts_uses(const struct server *server)
{
	return kv_policy_counts_uses(server->config->evict.policy);
}

int64_t
evict_idle_s(const struct server *server, const struct kv_key *key)
{
	return kv_use_idle_s(kv_access(key), now_s(server));
}

int64_t
evict_uses(const struct server *server, const struct kv_key *key)
{
	return kv_use_count(&server->config->evict, kv_access(key), now_s(server));
}

const char *
evict_policy_name(const struct server *server)
{
	static const char *const names[] = {
	    [KV_VOLATILE_LRU] = "volatile-lru",
	    [KV_VOLATILE_LFU] = "volatile-lfu",
	    [KV_VOLATILE_RANDOM] = "volatile-random",
	    [KV_VOLATILE_TTL] = "volatile-ttl",
	    [KV_ALLKEYS_LRU] = "allkeys-lru",
	    [KV_ALLKEYS_LFU] = "allkeys-lfu",
	    [KV_ALLKEYS_RANDOM] = "allkeys-random",
	    [KV_NOEVICTION] = "noeviction",
	};

	return names[server->config->evict.policy];
}

bool
evict_shares_integers(const struct server *server)
{
	uint32_t policy = server->config->evict.policy;

	return server->config->maxmemory_bytes == 0 ||
	       !(kv_policy_counts_uses(policy) || kv_policy_counts_seconds(policy));
}
