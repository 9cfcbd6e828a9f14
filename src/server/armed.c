#include "config.h"

#include "server/armed.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/hash_map.h"
#include "pubsub/hub_history.h"
#include "server/client.h"
#include "server/clients.h"

struct armed {
	struct hub_start start;
	uint64_t epoch;
};

/* About what an entry of the map takes besides the name. */
#define ENTRY_BYTES 80

/* NULL: none is armed. */
static struct hash_map *
map_of(const struct client *c, enum hub_kind kind)
{
	assert(kind < SESSION_ARMED_KINDS);
	return c->session != NULL ? c->session->armed[kind] : NULL;
}

static uint64_t
epoch_of(const struct client *c)
{
	return history_position(hub_history(c->server->hub)).epoch;
}

bool
armed_find(const struct client *c, enum hub_kind kind, struct slice name, struct hub_start *start)
{
	const struct hash_map *map = map_of(c, kind);
	const struct armed *found = map != NULL ? hash_map_get(map, name) : NULL;
	/* A seq that no message has yet, and for patterns one before which all is forgotten. */
	uint64_t lost_seq = kind == HUB_CHANNEL ? UINT64_MAX : 0;

	if (found == NULL)
		return false;
	*start = found->start;
	if (found->epoch != epoch_of(c))
		*start = (struct hub_start){lost_seq, lost_seq};
	return true;
}

static void
count(struct client *c, size_t bytes)
{
	c->session->armed_bytes += bytes;
	c->server->clients->armed_bytes += bytes;
	c->server->clients->armed_count++;
}

static void
uncount(struct client *c, size_t bytes)
{
	c->session->armed_bytes -= bytes;
	c->server->clients->armed_bytes -= bytes;
	c->server->clients->armed_count--;
}

void
armed_set(struct client *c, enum hub_kind kind, struct slice name, struct hub_start start)
{
	struct hash_map *map = map_of(c, kind);
	struct armed *found = map != NULL ? hash_map_get(map, name) : NULL;

	if (found == NULL) {
		if (map == NULL)
			map = session_of(c)->armed[kind] = hash_map_new();
		found = xmalloc(sizeof(*found));
		(void)hash_map_set(map, name, found);
		count(c, name.len + ENTRY_BYTES);
	}
	*found = (struct armed){start, epoch_of(c)};
}

static void
free_map(struct client *c, enum hub_kind kind)
{
	hash_map_free(c->session->armed[kind]);
	c->session->armed[kind] = NULL;
	session_trim(c);
}

void
armed_remove(struct client *c, enum hub_kind kind, struct slice name)
{
	struct hash_map *map = map_of(c, kind);
	struct armed *start = map != NULL ? hash_map_remove(map, name) : NULL;

	if (start == NULL)
		return;
	xfree(start);
	uncount(c, name.len + ENTRY_BYTES);
	if (hash_map_count(map) == 0)
		free_map(c, kind);
}

static void
free_start(struct slice name, void *value, void *arg)
{
	xfree(value);
	uncount(arg, name.len + ENTRY_BYTES);
}

bool
armed_remove_some(struct client *c, enum hub_kind kind, size_t budget)
{
	struct hash_map *map = map_of(c, kind);

	if (map == NULL)
		return true;
	if (!hash_map_drain(map, free_start, c, &budget))
		return false;
	free_map(c, kind);
	return true;
}

bool
armed_drain(struct client *c, size_t budget)
{
	bool has_channels = !armed_remove_some(c, HUB_CHANNEL, budget);

	return armed_remove_some(c, HUB_PATTERN, budget) && !has_channels;
}

size_t
armed_count(const struct client *c, enum hub_kind kind)
{
	const struct hash_map *map = map_of(c, kind);

	return map != NULL ? hash_map_count(map) : 0;
}
