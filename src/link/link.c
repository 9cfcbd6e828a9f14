#include "config.h"

#include "link/link.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "link/conversation.h"
#include "link/engine.h"
#include "link/engine_claims.h"
#include "link/engine_presence.h"
#include "link/link_cluster.h"
#include "link/link_input.h"
#include "resp/reply.h"
#include "resp/writer.h"

/* A message may be as large as Redis allows; its reader needs memory for what has arrived only. */
#define VALUE_BYTES_MAX (((size_t)512 << 20) + 65536)
#define VALUE_DEPTH_MAX 8

/* So many names are asked for before the answers come: enough to keep the upstream busy, few enough
 * for it to serve others in between. */
#define ASKED_MAX ((size_t)8 * INTEREST_BATCH)

#define GREETING_US ((uint64_t)10000000) /* for the answers to HELLO and INFO */
#define PROBE_SPANS_MAX 6                /* see late_us() */
#define PROBE_MOVED_US ((uint64_t)500000)

/* A name is being subscribed to: see link_send_interest(). */
static void
on_name(void *arg, enum hub_kind kind, struct slice name)
{
	struct link *link = arg;
	struct engine_limits limits;

	if (kind != HUB_CHANNEL || !link->config->engine->keeps(link->arg, name, &limits))
		return;
	buffer_append(&link->ahead, &name.len, sizeof(name.len));
	buffer_append_slice(&link->ahead, name);
	link->ahead_count++;
}

struct link *
link_new(const struct link_config *config, const struct link_ops *ops, void *arg)
{
	struct link *link = xcalloc(1, sizeof(*link));

	link->config = config;
	link->ops = ops;
	link->arg = arg;
	link->interest = interest_new();
	buffer_append_str(&link->channel, LINK_PROBE_PREFIX);
	buffer_append_str(&link->channel, config->id);
	if (config->engine != NULL) {
		link->engine = engine_new(config->engine, arg);
		interest_set_visitor(link->interest, on_name, link);
	}
	if (config->presence != NULL)
		link->presence =
		    engine_presence_new(config->presence, arg, &link->out, &link->expected);
	return link;
}

static void
forget_connection(struct link *link)
{
	resp_reader_free(link->reader);
	link->reader = NULL;
	buffer_release(&link->out);
	link_expected_release(&link->expected);
	link_copies_reset(&link->copies);
	link->probe_is_awaited = link->probe_is_unanswered = false;
	link->skips_loads = false;
	link->has_positions = link->has_aimed = false;
	link->probe_has_moved = link->awaits_topology = false;
	buffer_clear(&link->cluster_info);
	link->quiet_until_us = 0;
	buffer_clear(&link->settled_by);
}

void
link_free(struct link *link)
{
	if (link == NULL)
		return;
	forget_connection(link);
	interest_free(link->interest);
	catch_up_release(&link->catch_up);
	engine_free(link->engine);
	engine_presence_free(link->presence);
	buffer_release(&link->ahead);
	buffer_release(&link->settled_by);
	buffer_release(&link->cluster_info);
	buffer_release(&link->channel);
	xfree(link);
}

enum link_state
link_state_of(const struct link *link)
{
	return link->state;
}

struct interest *
link_interest(struct link *link)
{
	return link->interest;
}

size_t
link_queued_bytes(const struct link *link)
{
	return link->out.len;
}

struct link_figures
link_figures(const struct link *link)
{
	return link->figures;
}

const char *
link_peer(const struct link *link)
{
	return link->state >= LINK_JOINING ? link->peer.name : "";
}

const char *
link_warning(const struct link *link)
{
	return link->state >= LINK_JOINING ? link->peer.warning : "";
}

void
link_publish(struct link *link, enum hub_kind kind, struct slice channel, struct slice payload)
{
	assert(link->state == LINK_UP);
	link_send_message(link, kind, channel, payload);
	link_expect(&link->expected, ANSWER_PUBLISHED, 1);
	link->figures.sent++;
}

void
link_publish_copied(struct link *link, struct slice channel, struct slice payload,
    const struct slice *to, size_t count)
{
	assert(link->state == LINK_UP && link->config->cluster != NULL);
	link_send_copied(link, channel, payload, to, count);
	link_expect(&link->expected, ANSWER_PUBLISHED, 1);
	link->figures.sent++;
}

void
link_tell(struct link *link, struct slice channel, struct slice payload)
{
	assert(link->state >= LINK_JOINING && link->config->cluster != NULL);
	link_send_message(link, HUB_SHARD, channel, payload);
	link_expect(&link->expected, ANSWER_TOLD, 1);
}

void
link_publish_kept(struct link *link, const struct engine_message *message)
{
	assert(link->state == LINK_UP);
	engine_write_message(link->engine, message, &link->out);
	link_expect(&link->expected, ANSWER_PUBLISHED, 1);
	link->figures.sent++;
}

void
link_delete_kept(struct link *link, struct slice channel, uint64_t ttl_ms)
{
	assert(link->state == LINK_UP);
	engine_write_delete(link->engine, channel, ttl_ms, &link->out);
	link_expect(&link->expected, ANSWER_PUBLISHED, 1);
	link->figures.sent++;
}

struct engine *
link_engine(const struct link *link)
{
	return link->engine;
}

struct engine_presence *
link_presence(const struct link *link)
{
	return link->presence;
}

void
link_ask_topology(struct link *link)
{
	if (link->state >= LINK_JOINING && !link->awaits_topology)
		link_send_topology(link);
}

void
link_set_probe(struct link *link, struct slice channel)
{
	if (slice_eq(buffer_slice(&link->channel), channel))
		return;
	buffer_clear(&link->channel);
	buffer_append_slice(&link->channel, channel);
	if (link->probe_is_awaited)
		link->probe_has_moved = true; /* its message is not recognized any more */
}

struct slice
link_probe_channel(const struct link *link)
{
	return buffer_slice(&link->channel);
}

/* The connection */

void
link_opened(struct link *link, uint64_t now_us)
{
	forget_connection(link);
	link->reader = resp_reader_new(VALUE_BYTES_MAX, VALUE_DEPTH_MAX);
	link->opened_us = now_us;
	link->peer = (struct peer){0};
	link_advance(link, LINK_OPENED);
	link_send_hello(link);
}

void
link_received(struct link *link, struct slice bytes, uint64_t now_us)
{
	struct resp_value *value;
	int got = 0;

	if (link->state == LINK_DOWN)
		return;
	link->figures.bytes_in += bytes.len;
	resp_reader_feed(link->reader, bytes.ptr, bytes.len);
	while (link->state != LINK_DOWN && (got = resp_reader_next(link->reader, &value)) > 0) {
		if (value->type == RESP_TYPE_PUSH)
			link_take_push(link, &value, now_us);
		else
			link_take_reply(link, value, now_us);
		resp_value_free(value);
	}
	if (got < 0)
		link_drop(link, "the upstream does not speak RESP");
}

void
link_lost(struct link *link)
{
	if (link->state == LINK_DOWN)
		return;
	link->figures.unconfirmed += link_count_expected(&link->expected, ANSWER_PUBLISHED);
	buffer_release(&link->out);
	link_copies_reset(&link->copies); /* it may be large */
	interest_lost(link->interest);
	catch_up_lost(&link->catch_up);
	if (link->engine != NULL)
		engine_lost(link->engine);
	if (link->presence != NULL)
		engine_presence_lost(link->presence);
	if (link->config->claims != NULL)
		engine_claims_lost(link->config->claims);
	link_advance(link, LINK_LOST);
}

/* Time */

/* More names may be asked for. */
static bool
has_room(const struct link *link)
{
	size_t asked = interest_figures(link->interest).count[INTEREST_ASKED];

	if (asked >= ASKED_MAX)
		return false;
	if (link->engine == NULL)
		return true;
	/* Later names wait until what those of the greeting have missed is delivered. */
	if (engine_state_of(link->engine) != ENGINE_LIVE &&
	    interest_answered(link->interest) + asked >= link->joined_mark)
		return false;
	return engine_load_room(link->engine) > 0;
}

static void
ask(struct link *link, uint64_t now_us)
{
	while (now_us >= link->config->names_us && has_room(link)) {
		const struct interest_command command = link_send_interest(link, now_us);

		if (command.names == 0)
			return;
		if (command.leaves && link->config->cluster != NULL) {
			link_expect(&link->expected, ANSWER_UNSUBSCRIBED, command.names);
			link_send_sync(link);
			continue;
		}
		if (command.resumed > 0)
			link_expect(&link->expected, ANSWER_RESUMED, command.resumed);
		link_expect(&link->expected,
		    command.leaves ? ANSWER_UNSUBSCRIBED : ANSWER_SUBSCRIBED, command.names);
		/* New names have read everything up to the position that it has now. */
		if (!command.leaves && link->has_positions && link->catch_up.state == CATCH_UP_LIVE)
			link_ask_position(link);
	}
}

/* After the last name that is resumed: everything that was missed is up to the newest position. */
static void
aim(struct link *link)
{
	if (link->has_aimed || !link->has_positions || link->catch_up.state == CATCH_UP_LIVE ||
	    interest_figures(link->interest).count[INTEREST_WAITING] > 0)
		return;
	link->has_aimed = true;
	link_ask_position(link);
}

/* After another server took over nothing is published until nodes have told it what they had seen;
 * then this node checks whether it has lost any of that. Returns the time until then, or 0. */
static uint64_t
stay_quiet(struct link *link, uint64_t now_us)
{
	if (link->quiet_until_us == 0)
		return 0;
	if (now_us < link->quiet_until_us)
		return link->quiet_until_us - now_us;
	link->quiet_until_us = 0;
	link_send_check(link, now_us);
	return 0;
}

static bool
has_joined(const struct link *link)
{
	return !link->probe_is_awaited && link->quiet_until_us == 0 &&
	       link_count_expected(&link->expected, ANSWER_CHECKED) == 0 &&
	       interest_figures(link->interest).count[INTEREST_WAITING] == 0 &&
	       (link->engine == NULL || engine_state_of(link->engine) == ENGINE_LIVE);
}

/* True: the engine's messages that were missed are being delivered; nothing is asked for meanwhile.
 */
static bool
deliver(struct link *link)
{
	if (link->engine == NULL)
		return false;
	if (interest_answered(link->interest) >= link->joined_mark &&
	    interest_figures(link->interest).count[INTEREST_ASKED] == 0)
		engine_joined(link->engine);
	return engine_work(link->engine);
}

/*
 * When the newest probe is late. It may be behind more than a slow connection carries in one span:
 * replies to commands before it show that it comes nearer. So do messages before its own, but they
 * come as well when nothing arrives at the upstream: they give it PROBE_SPANS_MAX at most.
 */
static uint64_t
late_us(const struct link *link)
{
	uint64_t span_us = link->config->probe_us, sent_us = link->probe_sent_us;
	uint64_t late = (link->replied_us > sent_us ? link->replied_us : sent_us) + span_us;
	uint64_t last = sent_us + PROBE_SPANS_MAX * span_us, busy = link->heard_us + span_us;

	busy = busy < last ? busy : last;
	return busy > late ? busy : late;
}

/* The time until the next probe, or until the last one is late. */
static uint64_t
probe(struct link *link, uint64_t now_us)
{
	bool is_under_way = link->probe_is_awaited || link->probe_is_unanswered;
	uint64_t due_us =
	    is_under_way ? late_us(link) : link->probe_sent_us + link->config->probe_us;

	if (link->probe_has_moved)
		due_us = link->probe_sent_us + PROBE_MOVED_US;
	if (now_us >= due_us) {
		if (link->probe_has_moved)
			link->probe_is_awaited = link->probe_is_unanswered = false;
		if (link->probe_is_awaited) {
			link_drop(link, "no message comes back from the upstream");
			return UINT64_MAX;
		}
		if (link->probe_is_unanswered) {
			link_drop(link, "the upstream does not reply to PUBLISH");
			return UINT64_MAX;
		}
		link_ask_role(link); /* probes come back from a replica, too */
		link_send_probe(link, now_us);
		if (link->engine != NULL)
			link_send_check(link, now_us);
		if (link->config->cluster != NULL)
			link_ask_topology(link);
		if (link->has_positions && link->catch_up.state == CATCH_UP_LIVE)
			link_ask_position(link);
		if (catch_up_has_aim(&link->catch_up) && link->settled_by.len > 0)
			link_ask_whether_settled(link);
		due_us = now_us + link->config->probe_us;
	}
	return due_us - now_us;
}

/* The link is up from here on. */
static void
become_up(struct link *link, uint64_t now_us)
{
	link_advance(link, LINK_JOINED);
	if (link->presence != NULL)
		engine_presence_linked(link->presence, now_us);
}

/* The same as wait_us, or the time until presence has something to do. */
static uint64_t
keep_presence(struct link *link, uint64_t wait_us, uint64_t now_us)
{
	uint64_t due_us;

	if (link->presence == NULL)
		return wait_us;
	due_us = engine_presence_turn(link->presence, now_us, link->config->probe_us);
	return due_us < wait_us ? due_us : wait_us;
}

static uint64_t
converse(struct link *link, uint64_t now_us)
{
	uint64_t wait_us, due_us, quiet_us;

	if (link->state < LINK_JOINING) {
		due_us = link->opened_us + GREETING_US;
		if (now_us < due_us)
			return due_us - now_us;
		link_drop(link, "the upstream does not answer HELLO or INFO");
		return UINT64_MAX;
	}
	wait_us = probe(link, now_us);
	if (link->state == LINK_DOWN)
		return UINT64_MAX;
	wait_us = keep_presence(link, wait_us, now_us);
	if (deliver(link))
		return 0;
	ask(link, now_us);
	aim(link);
	quiet_us = stay_quiet(link, now_us);
	if (quiet_us > 0 && quiet_us < wait_us)
		wait_us = quiet_us;
	if (link->state == LINK_JOINING && has_joined(link))
		become_up(link, now_us);
	if (!has_room(link)) /* the answers come first */
		return wait_us;
	due_us = interest_due_us(link->interest);
	if (due_us < link->config->names_us)
		due_us = link->config->names_us;
	if (due_us <= now_us)
		return 0;
	return due_us - now_us < wait_us ? due_us - now_us : wait_us;
}

/* Returns the time until the next call. */
static uint64_t
claim(struct link *link, uint64_t now_us, uint64_t wait_us)
{
	uint64_t due_us;

	if (link->config->claims == NULL || link->state < LINK_JOINING)
		return wait_us;
	link_send_claims(link, now_us);
	due_us = engine_claims_due_us(link->config->claims);
	if (due_us <= now_us)
		return 0;
	return due_us - now_us < wait_us ? due_us - now_us : wait_us;
}

uint64_t
link_turn(struct link *link, uint64_t now_us)
{
	uint64_t wait_us;

	if (link->state == LINK_DOWN)
		return UINT64_MAX;
	catch_up_tidy(&link->catch_up);
	wait_us = converse(link, now_us);
	wait_us = claim(link, now_us, wait_us);
	if (link->state == LINK_DOWN || link->out.len == 0)
		return wait_us;
	link->figures.bytes_out += link->out.len;
	if (!link->ops->send(link->arg, buffer_slice(&link->out))) {
		link_drop(link, "the connection to the upstream cannot be written to");
		return UINT64_MAX;
	}
	buffer_clear(&link->out);
	buffer_shrink(&link->out, 65536);
	return wait_us;
}
