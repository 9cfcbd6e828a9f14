#include "config.h"

#include "server/armed.h"

#include "base/alloc.h"
#include "base/hash_map.h"
#include "server/client.h"
#include "server/clients.h"

/* About what an entry of the map takes besides the name. */
#define ENTRY_BYTES 64

/* NULL: none is armed. */
static struct hash_map *
map_of(const struct client *c)
{
	return c->session != NULL ? c->session->armed : NULL;
}

bool
armed_find(const struct client *c, struct slice channel, uint64_t *after_seq)
{
	const struct hash_map *map = map_of(c);
	const uint64_t *seq = map != NULL ? hash_map_get(map, channel) : NULL;

	if (seq != NULL)
		*after_seq = *seq;
	return seq != NULL;
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
armed_set(struct client *c, struct slice channel, uint64_t after_seq)
{
	struct hash_map *map = map_of(c);
	uint64_t *seq = map != NULL ? hash_map_get(map, channel) : NULL;

	if (seq == NULL) {
		if (map == NULL)
			map = session_of(c)->armed = hash_map_new();
		seq = xmalloc(sizeof(*seq));
		(void)hash_map_set(map, channel, seq);
		count(c, channel.len + ENTRY_BYTES);
	}
	*seq = after_seq;
}

static void
free_map(struct client *c)
{
	hash_map_free(c->session->armed);
	c->session->armed = NULL;
	session_trim(c);
}

void
armed_remove(struct client *c, struct slice channel)
{
	struct hash_map *map = map_of(c);
	uint64_t *seq = map != NULL ? hash_map_remove(map, channel) : NULL;

	if (seq == NULL)
		return;
	xfree(seq);
	uncount(c, channel.len + ENTRY_BYTES);
	if (hash_map_count(map) == 0)
		free_map(c);
}

static void
free_seq(struct slice channel, void *value, void *arg)
{
	xfree(value);
	uncount(arg, channel.len + ENTRY_BYTES);
}

bool
armed_remove_some(struct client *c, size_t budget)
{
	struct hash_map *map = map_of(c);

	if (map == NULL)
		return true;
	if (!hash_map_drain(map, free_seq, c, &budget))
		return false;
	free_map(c);
	return true;
}

size_t
armed_count(const struct client *c)
{
	const struct hash_map *map = map_of(c);

	return map != NULL ? hash_map_count(map) : 0;
}
