#include "config.h"

#include "net/address_limits.h"

#include <assert.h>
#include <sys/queue.h>

#include "base/alloc.h"
#include "base/hash_map.h"
#include "base/rate_limit.h"

/* The most expired entries that a call of address_limits_admit() or _leave() frees, and a call of
 * address_limits_expire(). */
#define FORGOTTEN_A_CALL 2
#define EXPIRED_A_CALL 1024

struct entry {
	TAILQ_ENTRY(entry) idle; /* while it has no connection; the longest idle first */
	struct address_key key;
	uint32_t connections;
	struct rate_limit rate; /* full_at_us 0: not used yet */
};

TAILQ_HEAD(entries, entry);

struct address_limits {
	struct hash_map *by_key;
	struct entries idle;
	size_t idle_count;
};

static struct slice
key_slice(const struct address_key *key)
{
	return (struct slice){(const char *)key->bytes, key->len};
}

struct address_limits *
address_limits_new(void)
{
	struct address_limits *limits = xcalloc(1, sizeof(*limits));

	limits->by_key = hash_map_new();
	TAILQ_INIT(&limits->idle);
	return limits;
}

static void
free_entry(struct slice key, void *entry, void *arg)
{
	(void)key;
	(void)arg;
	xfree(entry);
}

void
address_limits_free(struct address_limits *limits)
{
	hash_map_each(limits->by_key, free_entry, NULL);
	hash_map_free(limits->by_key);
	xfree(limits);
}

static void
unlink_idle(struct address_limits *limits, struct entry *entry)
{
	TAILQ_REMOVE(&limits->idle, entry, idle);
	limits->idle_count--;
}

static void
forget(struct address_limits *limits, struct entry *entry)
{
	unlink_idle(limits, entry);
	(void)hash_map_remove(limits->by_key, key_slice(&entry->key));
	xfree(entry);
}

/* The last connection was closed: keeps the entry only until its rate limit is full again. */
static void
rest(struct address_limits *limits, struct entry *entry, uint64_t now_us)
{
	TAILQ_INSERT_TAIL(&limits->idle, entry, idle);
	limits->idle_count++;
	if (entry->rate.full_at_us <= now_us)
		forget(limits, entry);
	else if (limits->idle_count > ADDRESS_IDLE_MAX)
		forget(limits, TAILQ_FIRST(&limits->idle));
}

static void
expire(struct address_limits *limits, uint64_t now_us, int count)
{
	struct entry *entry;

	for (; count > 0; count--) {
		entry = TAILQ_FIRST(&limits->idle);
		if (entry == NULL || entry->rate.full_at_us > now_us)
			return;
		forget(limits, entry);
	}
}

static enum address_verdict
ask(struct entry *entry, const struct address_limits_config *config, uint64_t now_us)
{
	uint64_t full_at_us = entry->rate.full_at_us;

	if (config->connections > 0 && entry->connections >= config->connections)
		return ADDRESS_TOO_MANY;
	if (config->rate == 0)
		return ADDRESS_ADMITTED;
	rate_limit_init(&entry->rate, config->rate, config->burst);
	entry->rate.full_at_us = full_at_us;
	return rate_limit_take(&entry->rate, now_us) ? ADDRESS_ADMITTED : ADDRESS_TOO_FAST;
}

enum address_verdict
address_limits_admit(struct address_limits *limits, const struct address_limits_config *config,
    const struct address_key *key, uint64_t now_us)
{
	enum address_verdict verdict;
	struct entry *entry;

	expire(limits, now_us, FORGOTTEN_A_CALL);
	if (key->len == 0)
		return ADDRESS_ADMITTED;
	entry = hash_map_get(limits->by_key, key_slice(key));
	if (entry == NULL) {
		entry = xcalloc(1, sizeof(*entry));
		entry->key = *key;
		(void)hash_map_set(limits->by_key, key_slice(key), entry);
	} else if (entry->connections == 0) {
		unlink_idle(limits, entry);
	}
	verdict = ask(entry, config, now_us);
	if (verdict == ADDRESS_ADMITTED)
		entry->connections++;
	else if (entry->connections == 0)
		rest(limits, entry, now_us);
	return verdict;
}

void
address_limits_leave(struct address_limits *limits, const struct address_key *key, uint64_t now_us)
{
	struct entry *entry;

	if (key->len == 0)
		return;
	entry = hash_map_get(limits->by_key, key_slice(key));
	assert(entry != NULL && entry->connections > 0);
	if (--entry->connections == 0)
		rest(limits, entry, now_us);
	expire(limits, now_us, FORGOTTEN_A_CALL);
}

void
address_limits_expire(struct address_limits *limits, uint64_t now_us)
{
	expire(limits, now_us, EXPIRED_A_CALL);
}

size_t
address_limits_count(const struct address_limits *limits)
{
	return hash_map_count(limits->by_key);
}
