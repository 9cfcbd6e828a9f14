#include "config.h"

#include "server/armed.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/hash_map.h"
#include "server/client.h"
#include "server/clients.h"

/* About what an entry of the map takes besides the name. */
#define ENTRY_BYTES 64

struct armed {
	struct hash_map *kinds[2]; /* HUB_CHANNEL and HUB_PATTERN: name -> seq; NULL: none */
};

_Static_assert(HUB_CHANNEL == 0 && HUB_PATTERN == 1, "the index of struct armed's maps");

static struct hash_map *
map_of(const struct client *c, enum hub_kind kind)
{
	assert(kind == HUB_CHANNEL || kind == HUB_PATTERN);
	return c->session != NULL && c->session->armed != NULL ? c->session->armed->kinds[kind]
							       : NULL;
}

bool
armed_find(const struct client *c, enum hub_kind kind, struct slice name, uint64_t *after_seq)
{
	const struct hash_map *map = map_of(c, kind);
	const uint64_t *seq = map != NULL ? hash_map_get(map, name) : NULL;

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
armed_set(struct client *c, enum hub_kind kind, struct slice name, uint64_t after_seq)
{
	struct hash_map *map = map_of(c, kind);
	uint64_t *seq = map != NULL ? hash_map_get(map, name) : NULL;

	if (seq == NULL) {
		struct session *session = session_of(c);

		if (session->armed == NULL)
			session->armed = xcalloc(1, sizeof(*session->armed));
		if (map == NULL)
			map = session->armed->kinds[kind] = hash_map_new();
		seq = xmalloc(sizeof(*seq));
		(void)hash_map_set(map, name, seq);
		count(c, name.len + ENTRY_BYTES);
	}
	*seq = after_seq;
}

/* Frees what is empty. */
static void
trim(struct client *c)
{
	struct armed *armed = c->session->armed;

	for (int kind = 0; kind < 2; kind++)
		if (armed->kinds[kind] != NULL && hash_map_count(armed->kinds[kind]) == 0) {
			hash_map_free(armed->kinds[kind]);
			armed->kinds[kind] = NULL;
		}
	if (armed->kinds[HUB_CHANNEL] != NULL || armed->kinds[HUB_PATTERN] != NULL)
		return;
	xfree(armed);
	c->session->armed = NULL;
	session_trim(c);
}

void
armed_remove(struct client *c, enum hub_kind kind, struct slice name)
{
	struct hash_map *map = map_of(c, kind);
	uint64_t *seq = map != NULL ? hash_map_remove(map, name) : NULL;

	if (seq == NULL)
		return;
	xfree(seq);
	uncount(c, name.len + ENTRY_BYTES);
	trim(c);
}

static void
free_seq(struct slice name, void *value, void *arg)
{
	xfree(value);
	uncount(arg, name.len + ENTRY_BYTES);
}

void
armed_remove_all(struct client *c, enum hub_kind kind)
{
	struct hash_map *map = map_of(c, kind);

	if (map == NULL)
		return;
	hash_map_each(map, free_seq, c);
	hash_map_free(map);
	c->session->armed->kinds[kind] = NULL;
	trim(c);
}

void
armed_drop(struct client *c)
{
	armed_remove_all(c, HUB_CHANNEL);
	armed_remove_all(c, HUB_PATTERN);
}

size_t
armed_count(const struct client *c)
{
	const struct hash_map *channels = map_of(c, HUB_CHANNEL);
	const struct hash_map *patterns = map_of(c, HUB_PATTERN);

	return (channels != NULL ? hash_map_count(channels) : 0) +
	       (patterns != NULL ? hash_map_count(patterns) : 0);
}
