#include "config.h"

#include "server/tracking_prefixes.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/hash_map.h"
#include "base/prefix_tree.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/tracking_push.h"
#include "server/tracking_state.h"

/* Names of changed keys that are gathered before they are told. */
#define GATHERED_BYTES ((size_t)1 << 20)

/* A client that has the prefix. */
struct prefix_member {
	TAILQ_ENTRY(prefix_member) all;
	struct tracked_prefix *prefix;
	struct client_tracking *client;
	uint32_t batch; /* client->batch when it was added */
};

TAILQ_HEAD(prefix_members, prefix_member);

/* Invariant: it has members; it is in tracking->changed while it has changed keys. */
struct tracked_prefix {
	TAILQ_ENTRY(tracked_prefix) changed_link;
	struct prefix_members members;
	struct hash_map *changed; /* name -> struct changed_key; NULL: none */
	size_t len;
	char name[];
};

struct changed_key {
	uint64_t by; /* the client that changed it last; 0: none */
};

static struct slice
name_of(const struct tracked_prefix *prefix)
{
	return (struct slice){prefix->name, prefix->len};
}

static struct tracking *
tracking_of_client(const struct client_tracking *own)
{
	return own->client->server->tracking;
}

static bool
prefix_of_member(const struct prefix_member *member, struct slice *prefix)
{
	if (member != NULL)
		*prefix = name_of(member->prefix);
	return member != NULL;
}

bool
tracking_prefix_overlaps(
    const struct client_tracking *own, struct slice prefix, struct slice *other, bool *is_of_batch)
{
	const struct prefix_member *member;

	if (own->prefixes == NULL)
		return false;
	member = prefix_tree_shortest(own->prefixes, prefix);
	if (member == NULL)
		member = prefix_tree_first(own->prefixes, prefix);
	if (member != NULL)
		*is_of_batch = member->batch == own->batch;
	return prefix_of_member(member, other);
}

static struct tracked_prefix *
get_or_add(struct tracking *tracking, struct slice name)
{
	struct tracked_prefix *prefix = prefix_tree_get(tracking->prefixes, name);

	if (prefix != NULL)
		return prefix;
	prefix = xcalloc(1, sizeof(*prefix) + name.len);
	TAILQ_INIT(&prefix->members);
	prefix->len = name.len;
	if (name.len > 0)
		memcpy(prefix->name, name.ptr, name.len);
	prefix_tree_add(tracking->prefixes, name, prefix);
	return prefix;
}

void
tracking_add_prefix(struct client_tracking *own, struct slice name)
{
	struct prefix_member *member;

	if (own->prefixes == NULL)
		own->prefixes = prefix_tree_new();
	if (prefix_tree_get(own->prefixes, name) != NULL)
		return;
	member = xmalloc(sizeof(*member));
	*member = (struct prefix_member){.prefix = get_or_add(tracking_of_client(own), name),
	    .client = own,
	    .batch = own->batch};
	TAILQ_INSERT_TAIL(&member->prefix->members, member, all);
	prefix_tree_add(own->prefixes, name, member);
}

size_t
tracking_prefix_count(const struct client_tracking *own)
{
	return own != NULL && own->prefixes != NULL ? prefix_tree_count(own->prefixes) : 0;
}

bool
tracking_next_prefix(const struct client_tracking *own, struct slice after, struct slice *prefix)
{
	if (own == NULL || own->prefixes == NULL)
		return false;
	return prefix_of_member(after.ptr == NULL ? prefix_tree_first(own->prefixes, SLICE(""))
						  : prefix_tree_next(own->prefixes, after),
	    prefix);
}

static void
free_changed(struct slice name, void *value, void *arg)
{
	(void)name;
	(void)arg;
	xfree(value);
}

static void
forget_changed(struct tracking *tracking, struct tracked_prefix *prefix)
{
	if (prefix->changed == NULL)
		return;
	TAILQ_REMOVE(&tracking->changed, prefix, changed_link);
	hash_map_each(prefix->changed, free_changed, NULL);
	hash_map_free(prefix->changed);
	prefix->changed = NULL;
}

static void
remove_member(struct tracking *tracking, struct prefix_member *member)
{
	struct tracked_prefix *prefix = member->prefix;

	(void)prefix_tree_remove(member->client->prefixes, name_of(prefix));
	TAILQ_REMOVE(&prefix->members, member, all);
	xfree(member);
	if (!TAILQ_EMPTY(&prefix->members))
		return;
	forget_changed(tracking, prefix);
	(void)prefix_tree_remove(tracking->prefixes, name_of(prefix));
	xfree(prefix);
}

void
tracking_remove_prefix(struct client_tracking *own, struct slice prefix)
{
	remove_member(tracking_of_client(own), prefix_tree_get(own->prefixes, prefix));
}

bool
tracking_drop_prefixes(struct client_tracking *own, size_t *budget)
{
	struct prefix_member *member;

	if (own->prefixes == NULL)
		return true;
	for (; (member = prefix_tree_first(own->prefixes, SLICE(""))) != NULL; --*budget) {
		if (*budget == 0)
			return false;
		remove_member(tracking_of_client(own), member);
	}
	prefix_tree_free(own->prefixes);
	own->prefixes = NULL;
	return true;
}

struct gathering {
	struct tracking *tracking;
	uint64_t by;
	struct slice key;
};

static void
gather(void *value, void *arg)
{
	struct tracked_prefix *prefix = value;
	const struct gathering *g = arg;
	struct changed_key *key;

	if (prefix->changed == NULL) {
		prefix->changed = hash_map_new();
		TAILQ_INSERT_TAIL(&g->tracking->changed, prefix, changed_link);
	}
	key = hash_map_get(prefix->changed, g->key);
	if (key == NULL) {
		key = xmalloc(sizeof(*key));
		hash_map_set(prefix->changed, g->key, key);
		g->tracking->changed_bytes += g->key.len + sizeof(*key);
	}
	key->by = g->by;
}

void
tracking_gather(struct tracking *tracking, uint64_t by, struct slice key)
{
	struct gathering g = {.tracking = tracking, .by = by, .key = key};

	prefix_tree_each_prefix(tracking->prefixes, key, gather, &g);
	if (tracking->changed_bytes >= GATHERED_BYTES)
		tracking_broadcast(tracking);
}

/* The array of the keys that others than the client `except` have changed last. */
struct telling {
	uint64_t except; /* 0: all keys */
	size_t count;
	struct buffer names;
};

static void
add_key(struct slice name, void *value, void *arg)
{
	const struct changed_key *key = value;
	struct telling *telling = arg;

	if (telling->except != 0 && telling->except == key->by)
		return;
	telling->count++;
	resp_put_bulk(&telling->names, name);
}

/* Writes it to out; returns the number of keys. */
static size_t
write_keys(const struct tracked_prefix *prefix, uint64_t except, struct buffer *out)
{
	struct telling telling = {.except = except};

	hash_map_each(prefix->changed, add_key, &telling);
	resp_put_array(out, telling.count);
	buffer_append_slice(out, buffer_slice(&telling.names));
	buffer_release(&telling.names);
	return telling.count;
}

static void
tell_of(const struct tracked_prefix *prefix)
{
	const struct prefix_member *member;
	struct buffer all = {0}, some = {0};

	(void)write_keys(prefix, 0, &all);
	TAILQ_FOREACH (member, &prefix->members, all) {
		struct client_tracking *to = member->client;

		buffer_clear(&some);
		if ((to->options & TRACKING_NOLOOP) == 0)
			tracking_tell(to, buffer_slice(&all));
		else if (write_keys(prefix, to->client->id, &some) > 0)
			tracking_tell(to, buffer_slice(&some));
	}
	buffer_release(&all);
	buffer_release(&some);
}

void
tracking_broadcast(struct tracking *tracking)
{
	struct tracked_prefix *prefix;

	while ((prefix = TAILQ_FIRST(&tracking->changed)) != NULL) {
		tell_of(prefix);
		forget_changed(tracking, prefix);
	}
	tracking->changed_bytes = 0;
}
