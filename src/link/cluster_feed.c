#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "link/cluster_globs.h"
#include "link/cluster_parts.h"
#include "link/globs_known.h"
#include "link/globs_own.h"
#include "server/core.h"
#include "server/server_config.h"

/* The feeds of nodes: copies of messages, and the channels by which they come. */

#define ADDED_AT_ONCE 1024
#define COPY_BYTES_MAX (((size_t)512 << 20) - 65536) /* a larger value is refused by Redis */

/* The channel of a node's feed in a slot. */
static struct slice
put_feed(struct cluster *cluster, char out[GLOBS_NAME_MAX], struct slice id, uint16_t slot)
{
	int len = snprintf(out, GLOBS_NAME_MAX, GLOBS_FEED "%.*s:{%" PRIu32 "}", (int)id.len,
	    id.ptr, slot_numbers_of(&cluster->globs->tags, "", slot));

	return (struct slice){out, (size_t)len};
}

bool
cluster_feed_has(const struct cluster *cluster, struct slice name)
{
	struct slice id = cluster_own_id(cluster);
	size_t len = strlen(GLOBS_FEED);

	return name.len > len + id.len && slice_begins_with(name, GLOBS_FEED) &&
	       memcmp(name.ptr + len, id.ptr, id.len) == 0;
}

/* Sending */

static __attribute__((noinline)) void
publish_copied(struct shard *shard, const struct unanswered_message *message,
    const struct slice *ids, size_t count)
{
	char texts[GLOBS_NODES_MAX][GLOBS_NAME_MAX];
	struct slice feeds[GLOBS_NODES_MAX];

	for (size_t i = 0; i < count; i++)
		feeds[i] = put_feed(shard->cluster, texts[i], ids[i], message->slot);
	link_publish_copied(
	    shard->link, unanswered_channel(message), unanswered_payload(message), feeds, count);
	shard->cluster->globs->sent += count;
}

void
cluster_feed_publish(struct shard *shard, const struct unanswered_message *message)
{
	struct cluster_globs *globs = shard->cluster->globs;
	struct slice channel = unanswered_channel(message), payload = unanswered_payload(message);
	struct slice ids[GLOBS_NODES_MAX];
	size_t count = globs_known_match(globs->known, channel, ids);

	if (count > 0 && channel.len + payload.len > COPY_BYTES_MAX) {
		globs->missed = GLOBS_MISSED;
		count = 0;
	}
	if (count > 0)
		publish_copied(shard, message, ids, count);
	else
		link_publish(shard->link, HUB_SHARD, channel, payload);
}

/* Receiving */

/* A subscriber of the channel has got the message just before: then so have those of patterns. */
static bool
is_repeated(struct shard *shard, struct slice channel)
{
	bool is_same = slice_eq(buffer_slice(&shard->newest), channel);

	buffer_clear(&shard->newest);
	return is_same;
}

void
cluster_feed_take(struct shard *shard, struct slice name, struct slice copy)
{
	struct cluster *cluster = shard->cluster;
	struct cluster_globs *globs = cluster->globs;
	struct slice channel, payload;

	if (!globs_read_copy(copy, &channel, &payload) || slot_of(channel) != slot_of(name) ||
	    channel.len > cluster->server->config->hub.name_bytes) {
		cluster_globs_note_strange(cluster, "copy");
		return;
	}
	globs->received++;
	if (is_repeated(shard, channel) || shard->is_feed_new ||
	    (globs->feed != FEED_LIVE && globs->feed != FEED_JOINING))
		return;
	globs->posted++;
	cluster_post_copy(shard, channel, payload);
}

/* Its channels */

static void
advance(struct cluster *cluster, enum feed_event event)
{
	struct cluster_globs *globs = cluster->globs;
	enum feed_state was = globs->feed;

	globs->feed = feed_next_state(was, event);
	if (globs->feed == was)
		return;
	globs->is_changed = globs->is_changed || globs->feed == FEED_JOINING;
	if (globs->feed == FEED_LIVE) /* who has subscribed already was early */
		cluster_globs_mark(cluster);
	cluster_globs_change(cluster);
}

void
cluster_feed_want(struct cluster *cluster, struct slice name, bool is_wanted)
{
	struct shard *shard = cluster_shard_of(cluster, slot_of(name));

	/* HUB_PATTERN stands for this: no client subscribes to such a name. */
	if (is_wanted && shared_names_add(cluster->names, HUB_PATTERN, name) && shard != NULL)
		interest_add(link_interest(shard->link), HUB_SHARD, name);
	else if (!is_wanted && shared_names_remove(cluster->names, HUB_PATTERN, name) &&
		 shard != NULL)
		interest_remove(link_interest(shard->link), HUB_SHARD, name, cluster->now_us);
}

static bool
move_towards(struct cluster *cluster, size_t target)
{
	struct cluster_globs *globs = cluster->globs;
	char name[GLOBS_NAME_MAX];
	struct slice id = cluster_own_id(cluster);

	for (size_t i = 0; i < ADDED_AT_ONCE && globs->added != target; i++)
		if (globs->added < target) {
			cluster_feed_want(
			    cluster, put_feed(cluster, name, id, (uint16_t)globs->added), true);
			globs->added++;
		} else {
			globs->added--;
			cluster_feed_want(
			    cluster, put_feed(cluster, name, id, (uint16_t)globs->added), false);
		}
	return globs->added == target;
}

void
cluster_feed_joined(struct shard *shard, uint16_t slot)
{
	struct cluster *cluster = shard->cluster;

	if (cluster->served_by[slot] != shard->number)
		return; /* if the slot comes back, the channel is joined again */
	cluster->globs->joined_at[slot] = shard->number;
	cluster->globs->is_changed = true;
	if (cluster->globs->feed == FEED_LIVE && !shard->is_feed_new)
		cluster_globs_mark(cluster);
}

void
cluster_feed_left(struct shard *shard, uint16_t slot)
{
	struct cluster *cluster = shard->cluster;

	if (cluster->globs->joined_at[slot] != shard->number)
		return;
	cluster->globs->joined_at[slot] = SHARD_NONE;
	cluster->globs->is_changed = true;
	if (cluster->globs->feed == FEED_LIVE)
		cluster_globs_mark(cluster);
}

void
cluster_feed_lost(struct shard *shard)
{
	struct cluster *cluster = shard->cluster;
	size_t lost = 0;

	for (size_t slot = 0; slot < SLOTS; slot++)
		if (cluster->globs->joined_at[slot] == shard->number) {
			cluster->globs->joined_at[slot] = SHARD_NONE;
			lost++;
		}
	cluster->globs->is_changed = true;
	if (lost > 0 && cluster->globs->feed == FEED_LIVE)
		cluster_globs_mark(cluster);
	shard->is_feed_new = true;
}

void
cluster_feed_moved(struct cluster *cluster, uint16_t slot)
{
	cluster->globs->is_changed = true;
	if (cluster->globs->joined_at[slot] != SHARD_NONE && cluster->globs->feed == FEED_LIVE)
		cluster_globs_mark(cluster);
}

/* Whether the upstream refuses the first channel that is not joined. */
static void
look_for_refusal(struct cluster *cluster, uint16_t slot)
{
	char name[GLOBS_NAME_MAX];
	struct shard *shard = cluster_shard_of(cluster, slot);

	cluster->globs->is_refused =
	    interest_of(link_interest(shard->link), HUB_SHARD,
		put_feed(cluster, name, cluster_own_id(cluster), slot)) == INTEREST_REFUSED;
}

/* Counts the channels of each shard that are not joined. Returns how many there are at shards with
 * a link. */
static size_t
count_missing(struct cluster *cluster, size_t missing[CLUSTER_SHARDS])
{
	size_t sum = 0;

	for (uint16_t slot = 0; slot < SLOTS; slot++) {
		struct shard *shard = cluster_shard_of(cluster, slot);

		if (shard == NULL || cluster->globs->joined_at[slot] == shard->number)
			continue;
		missing[shard->number]++;
		if (link_state_of(shard->link) >= LINK_JOINING && sum++ == 0)
			look_for_refusal(cluster, slot);
	}
	return sum;
}

/* A shard's copies count from the moment when all its channels are joined. */
static void
look_at_channels(struct cluster *cluster)
{
	size_t missing[CLUSTER_SHARDS] = {0};
	bool was_refused = cluster->globs->is_refused;

	cluster->globs->is_changed = cluster->globs->is_refused = false;
	cluster->globs->is_whole = count_missing(cluster, missing) == 0;
	for (size_t i = 0; i < cluster->top; i++) {
		struct shard *shard = cluster->shards[i];

		if (shard == NULL || !shard->is_feed_new || missing[i] > 0 ||
		    link_state_of(shard->link) < LINK_JOINING)
			continue;
		shard->is_feed_new = false;
		if (cluster->globs->feed == FEED_LIVE)
			cluster_globs_mark(cluster);
	}
	if (cluster->globs->is_whole)
		advance(cluster, FEED_JOINED);
	if (cluster->globs->is_whole || was_refused != cluster->globs->is_refused)
		cluster_globs_change(cluster);
}

uint64_t
cluster_feed_turn(struct cluster *cluster)
{
	struct cluster_globs *globs = cluster->globs;

	advance(cluster, globs_own_count(globs->own) > 0 ? FEED_WANTED : FEED_UNWANTED);
	switch (globs->feed) {
	case FEED_NONE:
		return UINT64_MAX;
	case FEED_LEAVING:
		if (!move_towards(cluster, 0))
			return 0;
		advance(cluster, FEED_LEFT);
		return UINT64_MAX;
	default:
		if (!move_towards(cluster, SLOTS))
			return 0;
		if (globs->is_changed)
			look_at_channels(cluster);
		return UINT64_MAX;
	}
}
