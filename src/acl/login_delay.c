#include "config.h"

#include "acl/login_delay.h"

#include <string.h>
#include <sys/queue.h>

#include "base/alloc.h"
#include "base/hash_map.h"

#define ADDRESS_MAX 128
#define DOUBLINGS_MAX 20
#define EXPIRED_A_CALL 256

struct address {
	TAILQ_ENTRY(address) all; /* ordered by the time of the last failure */
	char name[ADDRESS_MAX];
	size_t name_len;
	uint32_t failures;
	uint64_t failed_us;
	uint64_t open_us; /* the next attempt is checked at this time */
};

struct login_delays {
	TAILQ_HEAD(, address) all;
	struct hash_map *by_name;
};

struct login_delays *
login_delays_new(void)
{
	struct login_delays *delays = xcalloc(1, sizeof(*delays));

	TAILQ_INIT(&delays->all);
	delays->by_name = hash_map_new();
	return delays;
}

static void
forget(struct login_delays *delays, struct address *address)
{
	TAILQ_REMOVE(&delays->all, address, all);
	hash_map_remove(delays->by_name, (struct slice){address->name, address->name_len});
	xfree(address);
}

void
login_delays_free(struct login_delays *delays)
{
	struct address *address;

	while ((address = TAILQ_FIRST(&delays->all)) != NULL)
		forget(delays, address);
	hash_map_free(delays->by_name);
	xfree(delays);
}

static struct slice
cut(struct slice name)
{
	return (struct slice){name.ptr, name.len < ADDRESS_MAX ? name.len : ADDRESS_MAX};
}

uint64_t
login_delay(const struct login_delays *delays, struct slice name, uint64_t now_us, uint64_t max_us)
{
	const struct address *address = hash_map_get(delays->by_name, cut(name));

	if (address == NULL || address->open_us <= now_us)
		return 0;
	return address->open_us - now_us < max_us ? address->open_us - now_us : max_us;
}

bool
login_is_known(const struct login_delays *delays, struct slice name)
{
	return hash_map_get(delays->by_name, cut(name)) != NULL;
}

static struct address *
remember(struct login_delays *delays, struct slice name)
{
	struct address *address = hash_map_get(delays->by_name, name);

	if (address != NULL) {
		TAILQ_REMOVE(&delays->all, address, all);
	} else {
		if (hash_map_count(delays->by_name) >= LOGIN_ADDRESSES_MAX)
			forget(delays, TAILQ_FIRST(&delays->all));
		address = xcalloc(1, sizeof(*address));
		if (name.len > 0)
			memcpy(address->name, name.ptr, name.len);
		address->name_len = name.len;
		hash_map_set(delays->by_name, name, address);
	}
	TAILQ_INSERT_TAIL(&delays->all, address, all);
	return address;
}

static void
expire_one(struct login_delays *delays, uint64_t now_us)
{
	struct address *oldest = TAILQ_FIRST(&delays->all);

	if (oldest != NULL && oldest->failed_us + LOGIN_FORGET_US <= now_us)
		forget(delays, oldest);
}

void
login_delays_expire(struct login_delays *delays, uint64_t now_us)
{
	for (int n = 0; n < EXPIRED_A_CALL; n++)
		expire_one(delays, now_us);
}

void
login_failed(struct login_delays *delays, struct slice name, uint64_t now_us, uint64_t max_us)
{
	struct address *address;
	uint64_t delay_us;
	uint32_t doublings;

	expire_one(delays, now_us);
	address = remember(delays, cut(name));
	if (address->failed_us + LOGIN_FORGET_US <= now_us)
		address->failures = 0;
	address->failed_us = now_us;
	if (++address->failures <= LOGIN_FREE_FAILURES)
		return;
	doublings = address->failures - LOGIN_FREE_FAILURES - 1;
	delay_us = (uint64_t)LOGIN_FIRST_DELAY_US
		   << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
	if (delay_us > max_us)
		delay_us = max_us;
	address->open_us = now_us + delay_us;
}

size_t
login_delays_count(const struct login_delays *delays)
{
	return hash_map_count(delays->by_name);
}
