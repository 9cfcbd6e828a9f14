#include "config.h"

#include "link/engine_presence.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "link/engine_script.h"
#include "link/presence_changes.h"
#include "link/presence_questions.h"
#include "link/presence_reply.h"
#include "link/presence_script.h"
#include "resp/reply.h"
#include "server/upstream_presence.h"

#define LEASE_SPANS 3                /* renewals within a lease */
#define PAUSE_US ((uint64_t)1000000) /* before something that was refused is sent again */

#define WRONG_LEASE "the upstream's reply about the lease of this node is not valid"
#define WRONG_CHANGE "the upstream's reply to a change of presence is not valid"
#define WRONG_ANSWER "the upstream's reply about the members of channels is not valid"

struct engine_presence {
	const struct engine_presence_ops *ops;
	void *arg;
	struct buffer *out;
	struct link_expected *expected;
	enum engine_presence_state state;
	struct presence_shas shas;
	struct buffer run; /* run_id of the server */
	char node[PRESENCE_NODE_LEN + 1];
	uint32_t session;   /* counts the ids of this node */
	bool is_registered; /* all members were told, or are being told, under this id */
	bool is_wanted;     /* something is to be told or asked ... */
	bool was_wanted;    /* ... and was at a connection before */
	bool is_loaded;     /* this connection's engine has the scripts */
	/* An id before, under which members were told, and whose lease is to end when they are told
	 * under the present one; "": none. */
	char former[PRESENCE_NODE_LEN + 1];

	size_t leases, old_leases; /* answers that are awaited; of these, for an id before */
	uint64_t lease_us, lease_due_us;

	struct presence_changes changes;
	uint64_t again_us; /* when those that are to be sent again are */

	char ended[PRESENCE_NODE_LEN + 1]; /* another node, whose members are being removed */
	size_t removing;                   /* answers that are awaited for it ... */
	bool has_removed;                  /* ... and one of them has removed something */

	struct presence_questions questions;
};

static void
take_id(struct engine_presence *p)
{
	snprintf(p->node, sizeof(p->node), "%016" PRIx64, p->ops->random(p->arg));
	p->session++;
	p->old_leases = p->leases;
	p->is_registered = false;
}

struct engine_presence *
engine_presence_new(const struct engine_presence_ops *ops, void *arg, struct buffer *out,
    struct link_expected *expected)
{
	struct engine_presence *p = xcalloc(1, sizeof(*p));

	p->ops = ops;
	p->arg = arg;
	p->out = out;
	p->expected = expected;
	presence_changes_init(&p->changes);
	presence_questions_init(&p->questions);
	take_id(p);
	return p;
}

void
engine_presence_free(struct engine_presence *p)
{
	if (p == NULL)
		return;
	presence_changes_release(&p->changes);
	presence_questions_clear(&p->questions);
	buffer_release(&p->run);
	xfree(p);
}

static void
advance(struct engine_presence *p, enum engine_presence_event event)
{
	p->state = engine_presence_next(p->state, event);
}

/* Changes */

/* Writes a change as it is now. */
static void
write_change(struct engine_presence *p, const char *node, bool has_ended,
    const struct upstream_presence_change *what)
{
	static const enum presence_change_kind kinds[] = {
	    [PRESENCE_JOINED] = PRESENCE_CHANGE_JOINED,
	    [PRESENCE_LEFT] = PRESENCE_CHANGE_LEFT,
	    [PRESENCE_OCCUPIED] = PRESENCE_CHANGE_OCCUPIED,
	    [PRESENCE_VACATED] = PRESENCE_CHANGE_VACATED,
	};
	struct presence_change change = {
	    .kind = kinds[what->kind],
	    .node = node,
	    .has_ended = has_ended,
	    .channel = what->channel,
	    .member = what->member,
	    .info = what->info,
	    .is_connected = what->is_connected,
	    .event_channel = what->event_channel,
	    .event = what->event,
	};

	assert(what->kind != PRESENCE_NO_EVENT);
	if (what->event.len > 0)
		change.is_kept = p->ops->keeps(
		    p->arg, what->event_channel, what->event, &change.size, &change.ttl_ms);
	presence_put_change(p->out, &p->shas, &change);
}

static void
send_change(struct engine_presence *p, struct presence_told *told,
    const struct upstream_presence_change *what)
{
	told->session = p->session;
	write_change(p, p->node, false, what);
	link_expect(p->expected, ANSWER_PRESENCE_CHANGED, 1);
	STAILQ_INSERT_TAIL(&p->changes.sent, told, link);
}

bool
engine_presence_has_room(const struct engine_presence *p)
{
	return p->state == ENGINE_PRESENCE_READY && p->changes.count < ENGINE_PRESENCE_CHANGES &&
	       p->changes.bytes < ENGINE_PRESENCE_CHANGE_BYTES;
}

void
engine_presence_change(struct engine_presence *p, const struct upstream_presence_change *what)
{
	assert(engine_presence_has_room(p));
	send_change(p, presence_changes_new(&p->changes, what), what);
}

/* What is not here any more, and was told so, is told so again as it was; or such a change is
 * behind this one. Under another id, everything is told again. */
static void
send_now(struct engine_presence *p, struct presence_told *told)
{
	struct upstream_presence_change what = {.kind = PRESENCE_NO_EVENT};

	if (told->session == p->session)
		p->ops->state(p->arg, told->what.channel, told->what.member, &what);
	if (what.kind == PRESENCE_NO_EVENT && told->session == p->session &&
	    presence_told_is_end(told)) {
		send_change(p, told, &told->what);
		return;
	}
	if (what.kind != PRESENCE_NO_EVENT)
		send_change(p, presence_changes_new(&p->changes, &what), &what);
	presence_changes_free(&p->changes, told);
}

static void
send_again(struct engine_presence *p, uint64_t now_us)
{
	struct presence_told_list list = STAILQ_HEAD_INITIALIZER(list);
	struct presence_told *told;

	if (p->state != ENGINE_PRESENCE_READY || p->again_us > now_us)
		return;
	STAILQ_CONCAT(&list, &p->changes.again);
	while ((told = presence_changes_take(&list)) != NULL)
		send_now(p, told);
}

/* Lease */

/* A node that was registered is not made again: that it is missing shows that its members are. */
static void
ask_lease(struct engine_presence *p, bool makes, const char *former)
{
	const struct presence_lease_call call = {.node = p->node,
	    .former = former,
	    .lease_ms = p->lease_us / 1000,
	    .makes = makes,
	    .sweeps = p->state == ENGINE_PRESENCE_READY && p->removing == 0};

	p->leases++;
	presence_put_lease(p->out, &p->shas, &call);
	link_expect(p->expected, ANSWER_PRESENCE_LEASED, 1);
}

static void
renew_lease(struct engine_presence *p)
{
	ask_lease(p, !p->is_registered, "");
}

static void
ask_lease_soon(struct engine_presence *p, uint64_t now_us)
{
	if (p->lease_due_us > now_us + PAUSE_US)
		p->lease_due_us = now_us + PAUSE_US;
}

static void
begin_ready(struct engine_presence *p, uint64_t now_us)
{
	bool was_registered = p->is_registered;

	p->is_registered = p->was_wanted = true;
	send_again(p, now_us);
	if (was_registered)
		p->ops->has_room(p->arg);
	else
		p->ops->registers(p->arg);
}

/* The lease has ended, or the engine does not have this node any more. In the second case the node
 * is made again, so that what is left of it at the engine ends with its lease. */
static void
die(struct engine_presence *p)
{
	ask_lease(p, true, "");
	take_id(p);
	advance(p, ENGINE_PRESENCE_DIED);
	renew_lease(p);
}

static void
remove_expired(struct engine_presence *p, const struct presence_lease *lease)
{
	if (p->state != ENGINE_PRESENCE_READY || p->removing > 0)
		return;
	p->has_removed = false;
	memcpy(p->ended, lease->node, sizeof(p->ended));
	p->removing = lease->count;
	for (size_t i = 0; i < lease->count; i++) {
		const struct presence_expired *expired = &lease->expired[i];
		struct upstream_presence_change what = {0};

		p->ops->expired(p->arg, expired->channel, expired->member, expired->info, &what);
		write_change(p, p->ended, true, &what);
		link_expect(p->expected, ANSWER_PRESENCE_EXPIRED, 1);
	}
}

static const char *
take_lease(struct engine_presence *p, const struct resp_value *value, uint64_t now_us)
{
	struct presence_lease lease;
	bool was_ready = p->state == ENGINE_PRESENCE_READY, is_old = p->old_leases > 0;

	assert(p->leases > 0);
	p->leases--;
	p->old_leases -= is_old;
	if (value->type == RESP_TYPE_ERROR) {
		ask_lease_soon(p, now_us);
		return engine_error_passes(value->text) ? NULL : ENGINE_CANNOT;
	}
	if (!presence_read_lease(value, &lease))
		return WRONG_LEASE;
	if (p->state == ENGINE_PRESENCE_ENDED || is_old)
		return NULL;
	if (lease.leased != PRESENCE_LEASED) {
		die(p);
		return NULL;
	}
	advance(p, ENGINE_PRESENCE_LEASE);
	if (p->state == ENGINE_PRESENCE_READY && !was_ready)
		begin_ready(p, now_us);
	remove_expired(p, &lease);
	return NULL;
}

/* An error of the keys of one channel, not of this node: WRONGTYPE, which old versions of Redis
 * have within another text. */
static bool
is_of_key(struct slice error)
{
	static const char word[] = "WRONGTYPE ";

	return error.len > 0 && memmem(error.ptr, error.len, word, sizeof(word) - 1) != NULL;
}

static const char *
take_changed(struct engine_presence *p, const struct resp_value *value, uint64_t now_us)
{
	struct presence_told *told;
	enum presence_changed changed = PRESENCE_CHANGED_NOTHING;
	bool is_error = value->type == RESP_TYPE_ERROR;

	bool is_refused = is_error && is_of_key(value->text);

	if (is_error && !is_refused && !engine_error_passes(value->text))
		return ENGINE_CANNOT;
	if (!is_error && !presence_read_changed(value, &changed))
		return WRONG_CHANGE;
	told = presence_changes_take(&p->changes.sent);
	assert(told != NULL);
	if (p->state == ENGINE_PRESENCE_ENDED || told->session != p->session ||
	    changed == PRESENCE_CHANGED_NO_NODE) {
		bool dies = changed == PRESENCE_CHANGED_NO_NODE && told->session == p->session;

		presence_changes_free(&p->changes, told);
		if (dies && p->state != ENGINE_PRESENCE_ENDED)
			die(p);
		return NULL;
	}
	if (is_error && !is_refused) {
		STAILQ_INSERT_TAIL(&p->changes.again, told, link);
		p->again_us = now_us + PAUSE_US;
		return NULL;
	}
	presence_changes_free(&p->changes, told);
	if (is_refused)
		p->ops->skipped(p->arg);
	else
		p->ops->told(p->arg, changed == PRESENCE_CHANGED_PUBLISHED);
	return NULL;
}

/* When all of a portion are answered, the next one is asked for at once if this one helped. */
static const char *
take_expired(struct engine_presence *p, const struct resp_value *value)
{
	enum presence_changed changed = PRESENCE_CHANGED_NOTHING;

	if (value->type == RESP_TYPE_ERROR && !is_of_key(value->text) &&
	    !engine_error_passes(value->text))
		return ENGINE_CANNOT;
	if (value->type != RESP_TYPE_ERROR && !presence_read_changed(value, &changed))
		return WRONG_CHANGE;
	assert(p->removing > 0);
	p->removing--;
	p->has_removed |= changed > PRESENCE_CHANGED_NOTHING;
	if (p->removing == 0 && p->has_removed && p->state == ENGINE_PRESENCE_READY)
		renew_lease(p);
	return NULL;
}

/* Queries */

uint64_t
engine_presence_ask(struct engine_presence *p, const struct upstream_presence_query *query)
{
	uint64_t ticket = presence_questions_add(&p->questions, query);

	if (ticket == 0)
		return 0;
	switch (query->asks) {
	case UPSTREAM_PRESENCE_MEMBERS:
		presence_put_members(
		    p->out, &p->shas, query->channel, query->cursor, query->count, query->bytes);
		break;
	case UPSTREAM_PRESENCE_CHANNELS:
		presence_put_channels(p->out, &p->shas, query->after, query->count);
		break;
	case UPSTREAM_PRESENCE_COUNT:
		presence_put_count(p->out, &p->shas, query->channels, query->count);
		break;
	}
	link_expect(p->expected, ANSWER_PRESENCE_ASKED, 1);
	return ticket;
}

static const char *
take_answer(struct engine_presence *p, const struct resp_value *value)
{
	struct upstream_presence_answer answer = {.is_refused = true};
	enum upstream_presence_asks asks;
	size_t count;
	uint64_t ticket = presence_questions_take(&p->questions, &asks, &count);

	if (value->type != RESP_TYPE_ERROR && !presence_read_answer(value, asks, count, &answer))
		return WRONG_ANSWER;
	p->ops->answered(p->arg, ticket, &answer);
	presence_answer_release(&answer);
	return NULL;
}

/* Replies */

static const char *
take_script(struct engine_presence *p, const struct resp_value *value, uint64_t now_us)
{
	/* This one is no more expected. */
	uint64_t left = link_count_expected(p->expected, ANSWER_PRESENCE_SCRIPT);
	const char *why;

	if (value->type == RESP_TYPE_ERROR)
		return ENGINE_CANNOT;
	assert(left < PRESENCE_SCRIPTS);
	why = engine_take_sha(value, p->shas.text[PRESENCE_SCRIPTS - 1 - left]);
	if (why != NULL || left > 0)
		return why;
	p->is_loaded = true;
	if (p->state == ENGINE_PRESENCE_LOADING) {
		advance(p, ENGINE_PRESENCE_LOADED);
		p->lease_due_us = now_us;
		p->ops->has_room(p->arg);
	}
	return NULL;
}

const char *
engine_presence_take(struct engine_presence *p, enum link_answer_kind kind,
    const struct resp_value *value, uint64_t now_us)
{
	switch (kind) {
	case ANSWER_PRESENCE_SCRIPT:
		return take_script(p, value, now_us);
	case ANSWER_PRESENCE_LEASED:
		return take_lease(p, value, now_us);
	case ANSWER_PRESENCE_CHANGED:
		return take_changed(p, value, now_us);
	case ANSWER_PRESENCE_EXPIRED:
		return take_expired(p, value);
	case ANSWER_PRESENCE_ASKED:
		return take_answer(p, value);
	default:
		return "the upstream's reply does not fit to the command";
	}
}

/* Its life */

static void
load_scripts(struct engine_presence *p)
{
	for (int i = 0; i < PRESENCE_SCRIPTS; i++) {
		presence_put_script(p->out, (enum presence_script)i);
		link_expect(p->expected, ANSWER_PRESENCE_SCRIPT, 1);
	}
}

void
engine_presence_opened(struct engine_presence *p, struct slice run)
{
	if (p->run.len > 0 && !slice_eq(run, buffer_slice(&p->run))) {
		if (p->is_registered)
			memcpy(p->former, p->node, sizeof(p->former));
		take_id(p);
	}
	buffer_clear(&p->run);
	buffer_append_slice(&p->run, run);
	if (p->is_wanted)
		load_scripts(p);
}

bool
engine_presence_want(struct engine_presence *p)
{
	p->is_wanted = true;
	if (p->state == ENGINE_PRESENCE_IDLE) {
		advance(p, ENGINE_PRESENCE_WANTED);
		load_scripts(p);
	}
	return p->is_loaded;
}

/* What the engine has under the former id, and is not true any more, is removed from now on. */
void
engine_presence_registered(struct engine_presence *p)
{
	if (p->former[0] == '\0' || p->state != ENGINE_PRESENCE_READY ||
	    !STAILQ_EMPTY(&p->changes.again))
		return;
	ask_lease(p, false, p->former);
	p->former[0] = '\0';
}

/* Without the scripts it is idle until something is wanted. */
void
engine_presence_greeted(struct engine_presence *p, uint64_t now_us)
{
	if (!p->is_loaded)
		return;
	advance(p, ENGINE_PRESENCE_GREETED);
	p->lease_due_us = now_us;
}

void
engine_presence_linked(struct engine_presence *p, uint64_t now_us)
{
	bool was_leased = p->state == ENGINE_PRESENCE_LEASED;

	advance(p, ENGINE_PRESENCE_LINKED);
	if (was_leased)
		begin_ready(p, now_us);
	if (p->is_wanted)
		(void)engine_presence_want(p);
}

void
engine_presence_lost(struct engine_presence *p)
{
	advance(p, ENGINE_PRESENCE_LOST);
	p->is_loaded = false;
	p->is_wanted = p->was_wanted;
	p->leases = p->old_leases = 0;
	p->removing = 0;
	presence_questions_clear(&p->questions);
	STAILQ_CONCAT(&p->changes.again, &p->changes.sent);
	p->again_us = 0;
	if (p->state == ENGINE_PRESENCE_ENDED)
		presence_changes_clear(&p->changes, &p->changes.again);
}

static uint64_t
until(uint64_t time_us, uint64_t now_us)
{
	return time_us > now_us ? time_us - now_us : 0;
}

/* Or asks for it. */
static bool
has_lease(const struct engine_presence *p)
{
	return p->state >= ENGINE_PRESENCE_LEASING && p->state != ENGINE_PRESENCE_ENDED;
}

uint64_t
engine_presence_turn(struct engine_presence *p, uint64_t now_us, uint64_t renew_us)
{
	uint64_t wait_us;

	p->lease_us = renew_us * LEASE_SPANS;
	if (!has_lease(p))
		return UINT64_MAX;
	send_again(p, now_us);
	if (now_us >= p->lease_due_us) {
		p->lease_due_us = now_us + renew_us;
		renew_lease(p);
	}
	if (p->lease_due_us > now_us + renew_us) /* it was shortened */
		p->lease_due_us = now_us + renew_us;
	wait_us = until(p->lease_due_us, now_us);
	if (p->state == ENGINE_PRESENCE_READY && !STAILQ_EMPTY(&p->changes.again) &&
	    until(p->again_us, now_us) < wait_us)
		wait_us = until(p->again_us, now_us);
	return wait_us;
}

void
engine_presence_end(struct engine_presence *p, uint64_t lease_ms)
{
	bool had_lease = has_lease(p);

	advance(p, ENGINE_PRESENCE_END);
	presence_changes_clear(&p->changes, &p->changes.again);
	if (!had_lease)
		return;
	p->lease_us = lease_ms * 1000;
	renew_lease(p);
}
