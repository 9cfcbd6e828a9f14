#include "config.h"

#include "server/key_removal.h"

#include "base/clock.h"
#include "kv/keyspace.h"
#include "server/blocked.h"
#include "server/core.h"
#include "server/latency_monitor.h"
#include "server/notify.h"
#include "server/pause.h"
#include "server/propagation.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "server/tracking.h"
#include "server/watch.h"

/* Expired keys removed, and elements freed, between two checks of the clock. */
#define DUE_A_LOOK 32
#define FREED_A_LOOK 512

/* The wall clock may be set meanwhile, so expiries are checked at least this often. */
#define LOOK_AGAIN_US 1000000

static void
remove_by_itself(struct server *server, struct kv_db *db, struct kv_key *key)
{
	tracking_changed(server, NULL, kv_name(key));
	propagation_removed(server, kv_db_index(db), kv_name(key));
	blocked_key_gone(server, db, kv_name(key));
	kv_remove(db, key);
}

void
key_expire(struct server *server, struct kv_db *db, struct kv_key *key)
{
	server->statistics->counters.expired_keys++;
	notify(server, KEY_EXPIRED, "expired", db, kv_name(key));
	remove_by_itself(server, db, key);
}

void
key_evict(struct server *server, struct kv_db *db, struct kv_key *key)
{
	server->statistics->counters.evicted_keys++;
	notify(server, KEY_EVICTED, "evicted", db, kv_name(key));
	watch_touched(server, db, kv_name(key));
	remove_by_itself(server, db, key);
}

/* True if more keys have expired. */
static bool
expire_due(struct server *server, int64_t now_ms, uint64_t deadline_us)
{
	struct kv_db *db;
	struct kv_key *key;
	size_t n;

	for (n = 1; (key = kv_first_due(server->kv, now_ms, &db)) != NULL; n++) {
		key_expire(server, db, key);
		if (n % DUE_A_LOOK == 0 && clock_mono_us() >= deadline_us)
			return true;
	}
	return false;
}

static uint64_t
remove_due(struct server *server, uint64_t deadline_us)
{
	int64_t now_ms = (int64_t)(clock_wall_us() / 1000), next_ms;
	bool expires = !server->expires_on_access_only && !server_is_paused(server, server->now_us);
	bool more = expires && expire_due(server, now_ms, deadline_us);

	while (kv_lazy_free_some(server->kv, FREED_A_LOOK)) {
		if (clock_mono_us() >= deadline_us) {
			more = true;
			break;
		}
	}
	if (more)
		return 0;
	next_ms = expires ? kv_next_expiry(server->kv) : KV_NEVER;
	if (next_ms == KV_NEVER)
		return UINT64_MAX;
	if (next_ms <= now_ms)
		return 0;
	return next_ms - now_ms < LOOK_AGAIN_US / 1000 ? (uint64_t)(next_ms - now_ms) * 1000
						       : LOOK_AGAIN_US;
}

uint64_t
key_removal_turn(struct server *server, uint64_t deadline_us)
{
	bool measures = server->config->latency_threshold_ms > 0;
	uint64_t begun_us = measures ? clock_mono_us() : 0;
	uint64_t wait_us = remove_due(server, deadline_us);

	if (measures)
		latency_note(server, LATENCY_EXPIRE_CYCLE, clock_mono_us() - begun_us);
	return wait_us;
}
