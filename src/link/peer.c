#include "config.h"

#include "link/peer.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "resp/reply.h"

/* The value of a key that is a string; empty if there is none. */
static struct slice
text_of(const struct resp_value *map, const char *key)
{
	for (size_t i = 0; i + 1 < map->count; i += 2)
		if (slice_is(map->items[i].text, key))
			return map->items[i + 1].text;
	return (struct slice){"", 0};
}

/* No more than can be shown. */
static void
append(struct buffer *out, struct slice text)
{
	if (text.len > LINK_PEER_MAX)
		text.len = LINK_PEER_MAX;
	buffer_append_escaped(out, text);
}

static bool
is_replica(const struct resp_value *value)
{
	struct slice role = text_of(value, "role");

	return slice_is(role, "replica") || slice_is(role, "slave");
}

static void
read_name(const struct resp_value *value, struct peer *peer)
{
	struct buffer text = {0};
	struct slice name, version, fanfare;

	fanfare = text_of(value, "fanfare"); /* which gives Redis's name and version, too */
	peer->is_fanfare = fanfare.len > 0;
	name = peer->is_fanfare ? SLICE("fanfare") : text_of(value, "server");
	version = peer->is_fanfare ? fanfare : text_of(value, "version");
	append(&text, name.len > 0 ? name : SLICE("unknown"));
	if (version.len > 0)
		buffer_append_str(&text, " ");
	append(&text, version);
	snprintf(peer->name, sizeof(peer->name), "%.*s", (int)text.len, text.ptr);
	buffer_release(&text);
}

#define NOT_REDIS "the upstream's reply to HELLO 3 is not that of Redis"

const char *
peer_check_hello(const struct resp_value *value, struct peer *peer)
{
	if (value->type != RESP_TYPE_MAP)
		return NOT_REDIS;
	if (is_replica(value))
		return "the upstream is a replica, which does not pass messages on to its master: "
		       "name the master";
	if (slice_is(text_of(value, "mode"), "sentinel"))
		return "the upstream is a sentinel: name the master that it watches";
	read_name(value, peer);
	return NULL;
}

/* Sharded channels came with version 7. */
static bool
is_old(struct slice version)
{
	return version.len >= 2 && version.ptr[0] < '7' && version.ptr[1] == '.';
}

const char *
peer_check_cluster_hello(const struct resp_value *value, bool takes_replica, struct peer *peer)
{
	if (value->type != RESP_TYPE_MAP)
		return NOT_REDIS;
	if (text_of(value, "fanfare").len > 0)
		return "the upstream is a fanfared, which can have leaves (upstream-mode leaf), "
		       "but "
		       "is not a node of a cluster";
	if (!slice_is(text_of(value, "mode"), "cluster"))
		return "the upstream is not a node of a Redis Cluster";
	if (is_old(text_of(value, "version")))
		return "the upstream is older than Redis 7, which has sharded channels";
	if (!takes_replica && is_replica(value))
		return "the node of the cluster is a replica now";
	peer->is_replica = is_replica(value);
	read_name(value, peer);
	return NULL;
}

/* The value of a line "key:value"; empty if there is none. */
static struct slice
field(struct slice info, const char *key)
{
	const char *end = info.ptr + info.len, *line = info.ptr;
	size_t len = strlen(key);

	while (line < end) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		const char *next = stop != NULL ? stop + 1 : end;

		stop = stop != NULL ? stop : end;
		if (stop > line && stop[-1] == '\r')
			stop--;
		if ((size_t)(stop - line) > len && memcmp(line, key, len) == 0 && line[len] == ':')
			return (struct slice){line + len + 1, (size_t)(stop - line) - len - 1};
		line = next;
	}
	return (struct slice){"", 0};
}

const char *
peer_check_info(struct slice info, const char *id)
{
	if (info.ptr == NULL)
		return NULL;
	if (slice_is(field(info, "run_id"), id))
		return "the upstream is this server itself";
	if (slice_is(field(info, "link_mode"), "leaf"))
		return "the upstream is a leaf itself: link this node to the upstream of that one";
	if (slice_is(field(info, "link_mode"), "engine"))
		return "the upstream is a node of an engine itself: link this node to that engine";
	if (slice_is(field(info, "link_mode"), "cluster"))
		return "the upstream is a node of a cluster itself: link this node to that cluster";
	return NULL;
}

void
peer_warn(struct slice info, struct peer *peer)
{
	struct buffer policy = {0};
	uint64_t maxmemory = 0;

	peer->warning[0] = '\0';
	if (info.ptr == NULL || !slice_to_u64(field(info, "maxmemory"), &maxmemory) ||
	    maxmemory == 0 || slice_is(field(info, "maxmemory_policy"), "noeviction"))
		return;
	append(&policy, field(info, "maxmemory_policy"));
	snprintf(peer->warning, sizeof(peer->warning),
	    "its maxmemory-policy is %.*s, which may remove history; use noeviction",
	    (int)policy.len, policy.ptr != NULL ? policy.ptr : "");
	buffer_release(&policy);
}

struct slice
peer_run_id(struct slice info)
{
	return info.ptr != NULL ? field(info, "run_id") : info;
}
