#include "config.h"

#include "link/cluster_parts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/log.h"
#include "pubsub/hub_history.h"
#include "resp/reply.h"
#include "server/core.h"
#include "server/held.h"
#include "server/statistics.h"

/* The topology of a cluster: which shards there are, and what changes when it changes. */

#define ASK_FIRST_US ((uint64_t)50000)
#define ASK_CAP_US ((uint64_t)2000000)
#define OLDER_US ((uint64_t)30000000)
#define DRAIN_US ((uint64_t)10000000) /* so long a shard that serves nothing may answer */

/* The number in a line "key:number" of CLUSTER INFO; 0: there is none. */
static uint64_t
number_of(struct slice info, const char *key)
{
	size_t len = strlen(key);
	uint64_t number = 0;

	for (size_t i = 0; i + len < info.len; i++) {
		size_t end = i + len;

		if ((i > 0 && info.ptr[i - 1] != '\n') || memcmp(info.ptr + i, key, len) != 0)
			continue;
		while (end < info.len && info.ptr[end] >= '0' && info.ptr[end] <= '9')
			end++;
		if (!slice_to_u64((struct slice){info.ptr + i + len, end - i - len}, &number))
			number = 0;
		break;
	}
	return number;
}

/* A map that is older than one that was taken is left out: a node that was cut off from the others
 * may not know yet that its slots have moved. If there are only such ones for a while, the nodes
 * were reset, or one of them has told an epoch that no cluster has. */
static bool
is_too_old(struct cluster *cluster, uint64_t epoch)
{
	uint64_t older_us = OLDER_US + (uint64_t)cluster->settings->probe_s * 2000000;

	if (epoch >= cluster->epoch || cluster->state == CLUSTER_SEEKING) {
		cluster->older_us = 0;
		return false;
	}
	if (cluster->older_us == 0)
		cluster->older_us = cluster->now_us;
	if (cluster->now_us - cluster->older_us < older_us)
		return true;
	log_warn("all nodes of the cluster %s name epochs before %" PRIu64 ", as %" PRIu64
		 ": taking their maps",
	    cluster->address, cluster->epoch, epoch);
	cluster->older_us = 0;
	return false;
}

static bool
is_master(const struct slot_map *map, const struct shard *shard)
{
	for (size_t i = 0; i < map->count; i++)
		if (map->masters[i].port == shard->port &&
		    strcmp(map->masters[i].host, shard->host) == 0)
			return true;
	return false;
}

const char *
cluster_read_map(
    struct shard *shard, struct slice info, const struct resp_value *slots, bool is_replica)
{
	struct cluster *cluster = shard->cluster;
	uint64_t epoch = number_of(info, "cluster_current_epoch:");
	const char *why;

	if (is_too_old(cluster, epoch)) {
		cluster_clear_stale(cluster, shard);
		return NULL;
	}
	cluster->read_from = NULL;
	why = slot_map_read(cluster->read, slots, shard->host);
	if (why == NULL && cluster->read->count == 0)
		why = "the node of the cluster knows no master that serves slots";
	if (why == NULL && is_replica && is_master(cluster->read, shard))
		why = "the node of the cluster is a replica, and says that it serves slots";
	if (why != NULL)
		return why;
	cluster->epoch = epoch;
	cluster->read_from = shard;
	return NULL;
}

void
cluster_clear_stale(struct cluster *cluster, struct shard *shard)
{
	if (!shard->has_stale)
		return;
	shard->has_stale = false;
	for (size_t slot = 0; slot < SLOTS; slot++)
		if (cluster->stale_by[slot] == shard->number) {
			cluster->stale_by[slot] = SHARD_NONE;
			cluster->stale--;
		}
	cluster->answers++;
	cluster->may_go_on = true;
}

static bool
serves(const void *shard, uint16_t slot)
{
	const struct shard *s = shard;

	return s->cluster->served_by[slot] == s->number;
}

/* A channel in one of the shard's slots, which costs no other shard anything. */
static void
choose_probe(struct shard *shard)
{
	struct cluster *cluster = shard->cluster;
	char prefix[SLOT_PREFIX_MAX], name[CLUSTER_CHANNEL_MAX];
	uint32_t number;
	int len;

	if (shard->has_probe && serves(shard, slot_of(link_probe_channel(shard->link))))
		return;
	snprintf(
	    prefix, sizeof(prefix), LINK_PROBE_PREFIX "%s:", cluster->server->statistics->run_id);
	number = slot_numbers_find(&cluster->probes, prefix, serves, shard);
	if (number == SLOT_NO_NUMBER)
		return;
	len = snprintf(name, sizeof(name), "%s%" PRIu32, prefix, number);
	link_set_probe(shard->link, (struct slice){name, (size_t)len});
	shard->has_probe = true;
}

static struct shard *
find_or_add(struct cluster *cluster, const struct slot_master *master)
{
	size_t room = cluster->top;

	for (size_t i = 0; i < cluster->top; i++) {
		struct shard *shard = cluster->shards[i];

		if (shard == NULL)
			room = i < room ? i : room;
		else if (shard->port == master->port && strcmp(shard->host, master->host) == 0)
			return shard;
	}
	if (room == cluster->top)
		cluster->top++;
	assert(room < CLUSTER_SHARDS); /* make_room() */
	cluster->shards[room] = shard_new(cluster, (uint16_t)room, master->host, master->port);
	log_info("the cluster %s has a shard at %s:%u", cluster->address, master->host,
	    (unsigned)master->port);
	return cluster->shards[room];
}

struct move {
	struct cluster *cluster;
	struct shard *from, *to; /* NULL: nobody */
};

static void
move_name(void *arg, struct slice name)
{
	const struct move *move = arg;
	uint64_t now_us = move->cluster->now_us;

	if (move->from != NULL)
		interest_hand_over(link_interest(move->from->link), HUB_SHARD, name, now_us);
	if (move->to == NULL)
		return;
	interest_add(link_interest(move->to->link), HUB_SHARD, name);
	interest_again(link_interest(move->to->link), HUB_SHARD, name, now_us);
}

static void
move_slot(struct cluster *cluster, uint16_t slot, uint16_t number)
{
	struct move move = {.cluster = cluster,
	    .from = cluster_shard_of(cluster, slot),
	    .to = number != SHARD_NONE ? cluster->shards[number] : NULL};

	cluster->served += (number != SHARD_NONE) - (size_t)(move.from != NULL);
	if (move.from != NULL)
		move.from->slots--;
	if (move.to != NULL)
		move.to->slots++;
	cluster->served_by[slot] = number;
	cluster->redirects[slot] = (struct slot_redirects){0};
	cluster_globs_moved(cluster, slot);
	shared_names_each(cluster->names, slot, move_name, &move);
}

/*
 * Usually it is a replica of its heir now. It still takes messages, and passes them on to the heir
 * over a connection on which TCP may hold them up, for 40 ms or a few times that. If the names were
 * subscribed to at the heir and messages sent to it before that, these messages would be delivered
 * twice, or behind later ones.
 */
void
shard_delay_heir(struct shard *shard)
{
	struct cluster *cluster = shard->cluster;

	if (shard->slots == 0 && shard->heir != SHARD_NONE && cluster->shards[shard->heir] != NULL)
		cluster->shards[shard->heir]->config.names_us = cluster->now_us + PASSED_ON_US;
}

/* heirs: the shard to which the last slot of each was moved; SHARD_NONE: none was moved. */
static void
delay_heirs(struct cluster *cluster, const uint16_t *heirs)
{
	for (size_t i = 0; i < cluster->top; i++) {
		if (cluster->shards[i] == NULL || heirs[i] == SHARD_NONE)
			continue;
		cluster->shards[i]->heir = heirs[i];
		shard_delay_heir(cluster->shards[i]);
	}
}

static void
make_room(struct cluster *cluster)
{
	size_t used = 0;

	for (size_t i = 0; i < cluster->top; i++)
		used += cluster->shards[i] != NULL;
	if (used + cluster->read->count > CLUSTER_SHARDS)
		cluster_close_shards(cluster, true);
}

void
cluster_take_map(struct cluster *cluster)
{
	const struct slot_map *map = cluster->read;
	uint16_t numbers[SLOT_MASTERS_MAX] = {0}, heirs[CLUSTER_SHARDS];
	size_t moved = 0;

	memset(heirs, 0xff, sizeof(heirs)); /* SHARD_NONE */
	make_room(cluster);
	for (size_t i = 0; i < map->count; i++)
		numbers[i] = find_or_add(cluster, &map->masters[i])->number;
	for (uint16_t slot = 0; slot < SLOTS; slot++) {
		uint16_t at = map->served_by[slot];
		uint16_t number = at != SLOT_UNSERVED ? numbers[at] : SHARD_NONE;

		if (number == cluster->served_by[slot])
			continue;
		if (cluster->served_by[slot] != SHARD_NONE)
			heirs[cluster->served_by[slot]] = number;
		move_slot(cluster, slot, number);
		moved++;
	}
	delay_heirs(cluster, heirs);
	for (size_t i = 0; i < cluster->top; i++)
		if (cluster->shards[i] != NULL && cluster->shards[i]->slots > 0)
			choose_probe(cluster->shards[i]);
	if (moved > 0 && cluster->answers > 0)
		log_notice("%zu slots of the cluster %s are served by other shards than before",
		    moved, cluster->address);
	if (moved > 0)
		cluster->ask_delay_us = ASK_FIRST_US;
	if (cluster->read_from != NULL) /* it was not closed to make room */
		cluster_clear_stale(cluster, cluster->read_from);
	cluster->read_from = NULL;
	cluster->answers++;
	cluster->may_go_on = true;
}

/* The next messages of its slots wait for these answers: otherwise they could overtake those that
 * are on their way. */
static bool
is_draining(struct shard *shard)
{
	uint64_t now_us = shard->cluster->now_us;

	if (TAILQ_EMPTY(&shard->unanswered.messages))
		return false;
	if (shard->drained_us == 0)
		shard->drained_us = now_us;
	return now_us - shard->drained_us < DRAIN_US;
}

void
cluster_close_shards(struct cluster *cluster, bool at_once)
{
	for (size_t i = 0; i < cluster->top; i++) {
		struct shard *shard = cluster->shards[i];

		if (shard == NULL)
			continue;
		if (shard->slots > 0)
			shard->drained_us = 0;
		if (shard->slots > 0 || (!at_once && is_draining(shard)))
			continue;
		log_notice("the shard of the cluster %s at %s:%u serves no slots: closing its link",
		    cluster->address, shard->host, (unsigned)shard->port);
		/* Names without subscribers are not subscribed to any more. */
		hub_forget_history(cluster->server->hub);
		cluster_clear_stale(cluster, shard);
		cluster->shards[i] = NULL;
		shard_free(shard);
		server_upstream_tell(cluster->server);
	}
}

static bool
is_wrong(const struct cluster *cluster)
{
	if (cluster->state != CLUSTER_UP || cluster->stale > 0)
		return true;
	for (size_t i = 0; i < cluster->top; i++)
		if (cluster->shards[i] != NULL &&
		    interest_figures(link_interest(cluster->shards[i]->link))
			    .count[INTEREST_MOVED] > 0)
			return true;
	return false;
}

static void
ask_next(struct cluster *cluster)
{
	for (size_t i = 0; i < cluster->top; i++) {
		struct shard *shard = cluster->shards[cluster->next_asked++ % cluster->top];

		if (shard != NULL && shard_is_up(shard)) {
			link_ask_topology(shard->link);
			return;
		}
	}
}

/* Shards that have redirected are asked, and any other one if a shard has no link. */
uint64_t
cluster_ask(struct cluster *cluster)
{
	if (!is_wrong(cluster)) {
		if (cluster->now_us >= cluster->ask_us)
			cluster->ask_delay_us = ASK_FIRST_US;
		return UINT64_MAX;
	}
	if (cluster->now_us < cluster->ask_us)
		return cluster->ask_us - cluster->now_us;
	for (size_t i = 0; i < CLUSTER_SHARDS && cluster->stale > 0; i++)
		if (cluster->shards[i] != NULL && cluster->shards[i]->has_stale)
			link_ask_topology(cluster->shards[i]->link);
	if (cluster->state != CLUSTER_UP)
		ask_next(cluster);
	cluster->ask_us = cluster->now_us + cluster->ask_delay_us;
	cluster->ask_delay_us =
	    cluster->ask_delay_us * 2 < ASK_CAP_US ? cluster->ask_delay_us * 2 : ASK_CAP_US;
	return cluster->ask_us - cluster->now_us;
}
