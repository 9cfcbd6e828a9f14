#include "config.h"

#include "server/tracking.h"

#include <assert.h>
#include <string.h>

#include "acl/key_spec.h"
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/prefix_tree.h"
#include "resp/writer.h"
#include "server/clients.h"
#include "server/server_config.h"
#include "server/tracking_prefixes.h"
#include "server/tracking_push.h"

/* Keys above the limit that are forgotten in one turn, and behind a command beyond what it adds. */
#define FORGOTTEN_AT_ONCE 256

/* Keys and items that are freed in one turn. */
#define FREED_A_TURN 256

void
tracking_init(struct tracking *tracking)
{
	tracking_table_init(&tracking->table);
	TAILQ_INIT(&tracking->clients);
	TAILQ_INIT(&tracking->changed);
	TAILQ_INIT(&tracking->slow);
	tracking->prefixes = prefix_tree_new();
}

void
tracking_release(struct tracking *tracking)
{
	tracking_table_release(&tracking->table);
	prefix_tree_free(tracking->prefixes);
}

struct client_tracking *
tracking_if_on(const struct client *c)
{
	struct client_tracking *own = tracking_of(c);

	return own != NULL && own->is_on ? own : NULL;
}

struct client_tracking *
tracking_need(struct client *c)
{
	struct session *s = session_of(c);

	if (s->tracking == NULL) {
		s->tracking = xcalloc(1, sizeof(*s->tracking));
		s->tracking->client = c;
	}
	return s->tracking;
}

void
tracking_switch_on(struct client *c, uint8_t options, uint64_t redirect)
{
	struct tracking *tracking = c->server->tracking;
	struct client_tracking *own = tracking_need(c);

	if (!own->is_on) {
		own->is_on = true;
		TAILQ_INSERT_TAIL(&tracking->clients, own, all);
		tracking->client_count++;
	}
	own->options = options;
	own->redirect = redirect;
	own->is_broken = false;
}

bool
tracking_switch_off(struct client *c, size_t *budget)
{
	struct client_tracking *own = tracking_of(c);

	if (own == NULL)
		return true;
	if (!tracking_drop_prefixes(own, budget))
		return false;
	if (own->is_on) {
		TAILQ_REMOVE(&c->server->tracking->clients, own, all);
		c->server->tracking->client_count--;
	}
	own->is_on = own->is_broken = own->caching = false;
	return true;
}

bool
tracking_detach(struct client *c, size_t budget)
{
	struct client_tracking *own = tracking_of(c);

	if (c->session != NULL && c->session->is_slow) {
		TAILQ_REMOVE(&c->server->tracking->slow, c, session->slow);
		c->session->is_slow = false;
	}
	return own == NULL ||
	       (tracking_switch_off(c, &budget) &&
		   tracking_table_forget(&c->server->tracking->table, &own->owner, &budget));
}

void
tracking_free(struct client *c)
{
	struct client_tracking *own = tracking_of(c);

	if (own == NULL)
		return;
	assert(!own->is_on && LIST_EMPTY(&own->owner.items));
	c->session->tracking = NULL;
	xfree(own);
}

static bool
is_over_limit(const struct server *server)
{
	uint32_t keys = server->config->tracking.keys, items = server->config->tracking.items;

	return (keys != 0 && server->tracking->table.weight > keys) ||
	       (items != 0 && server->tracking->table.item_count > items);
}

/* Tells the clients that have read the key, and forgets it. */
static void
invalidate(struct server *server, struct tracked_key *key)
{
	struct tracking *tracking = server->tracking;
	const struct tracking_item *item;
	struct buffer keys = {0};

	resp_put_array(&keys, 1);
	resp_put_bulk(&keys, (struct slice){key->name, key->len});
	LIST_FOREACH (item, &key->items, of_key) {
		struct client_tracking *own = (void *)item->owner; /* its first member */

		if (!own->is_on || (own->options & TRACKING_BCAST) != 0 ||
		    ((own->options & TRACKING_NOLOOP) != 0 && own->client == tracking->executing))
			continue;
		tracking_tell(own, buffer_slice(&keys));
	}
	buffer_release(&keys);
	tracking_table_remove(&tracking->table, key);
}

/* Forgets at most `most` keys. True if more are above the limit. */
static bool
keep_limit(struct server *server, size_t most)
{
	struct tracking_table *table = &server->tracking->table;

	for (size_t n = 0; is_over_limit(server); n++) {
		if (n == most)
			return true;
		invalidate(server, tracking_table_random(table, server->random));
	}
	return false;
}

/* As in Redis 7.2, a script is not a reader: the commands that it calls are. */
static bool
is_reader(const struct command *command)
{
	return (command->flags & CMD_PUBSUB) == 0 && strcmp(command->group, "scripting") != 0;
}

/* CLIENT CACHING reverses what the mode does without it. */
static bool
wants_keys(const struct client_tracking *own)
{
	if ((own->options & TRACKING_BCAST) != 0)
		return false;
	if ((own->options & TRACKING_OPTIN) != 0)
		return own->caching;
	return (own->options & TRACKING_OPTOUT) == 0 || !own->caching;
}

/* At least as much is forgotten and freed behind a command as it adds, so that no client can fill
 * the table faster than turns empty it. */
void
tracking_note_read(struct request *rq, struct client_tracking *own)
{
	struct tracking_table *table = &rq->server->tracking->table;
	size_t before = table->weight + table->item_count, count, grown, i, at;
	struct key_range ranges[KEY_SPECS_MAX];

	if (!wants_keys(own) || !is_reader(rq->command))
		return;
	count = key_spec_ranges(
	    command_acl(rq->server->commands, rq->command), rq->argv, rq->argc, ranges);
	for (i = 0; i < count; i++)
		for (at = ranges[i].first; at <= ranges[i].last; at += ranges[i].step)
			tracking_table_add(table, &own->owner, rq->argv[at]);
	grown = table->weight + table->item_count - before;
	(void)keep_limit(rq->server, FORGOTTEN_AT_ONCE + grown);
	(void)tracking_table_tidy(table, &grown);
}

void
tracking_note_change(struct server *server, const struct client *by, struct slice name)
{
	struct tracking *tracking = server->tracking;
	struct tracked_key *key = tracking_table_find(&tracking->table, name);

	if (prefix_tree_count(tracking->prefixes) > 0)
		tracking_gather(tracking, by != NULL ? by->id : 0, name);
	if (key != NULL)
		invalidate(server, key);
}

void
tracking_all_changed(struct server *server)
{
	struct client_tracking *own;

	TAILQ_FOREACH (own, &server->tracking->clients, all)
		tracking_tell(own, SLICE(""));
	tracking_table_clear(&server->tracking->table);
}

/*
 * The effect of CLIENT CACHING ends with the next command, or transaction; further subcommands of
 * CLIENT do not count, as in Redis.
 */
static bool
keeps_caching(const struct client *c, const struct command *command)
{
	return client_transaction(c) != NULL || (command != NULL && command->container != NULL &&
						    strcmp(command->container, "client") == 0);
}

void
tracking_end_request(struct client *c, const struct command *command, bool is_over)
{
	struct client_tracking *own = tracking_of(c);

	if (own != NULL && own->caching && is_over && !keeps_caching(c, command))
		own->caching = false;
	tracking_send_late(c);
}

bool
tracking_turn(struct server *server)
{
	struct tracking *tracking = server->tracking;
	size_t budget = FREED_A_TURN;
	bool more = keep_limit(server, FORGOTTEN_AT_ONCE);

	more = !tracking_table_tidy(&tracking->table, &budget) || more;
	tracking_broadcast(tracking);
	tracking_close_slow(tracking);
	return more;
}
