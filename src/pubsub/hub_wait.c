#include "config.h"

#include <assert.h>

#include "base/alloc.h"
#include "pubsub/hub_queue_state.h"
#include "pubsub/hub_replay_hooks.h"
#include "pubsub/hub_state.h"

/*
 * Publishers that wait for room under OUTBOX_BLOCK. A subscriber records only the first of them,
 * the one with the lowest ticket: its message gets the next room. Publishers with a later ticket
 * wait until then, so that small messages cannot starve a large one. The publisher with the lowest
 * ticket of all is never held back by another, so two publishers cannot wait for each other.
 */

/* How long the room of one subscriber is reserved for a publisher that also waits for others. */
#define RESERVED_US 1000000

static void
take_ticket(struct hub *hub, struct hub_publication *p, uint64_t now_us)
{
	if (p->ticket != 0)
		return;
	p->ticket = ++hub->last_ticket;
	p->since_us = now_us;
}

static struct hub_waits *
list_of(struct hub *hub, uint8_t state)
{
	return state == HUB_AWAITED ? &hub->awaited : &hub->reserved;
}

/* state is not HUB_NOT_AWAITED, which end_wait() sets. */
static void
set_state(struct subscriber *s, enum hub_awaited state, uint64_t now_us)
{
	struct hub_wait *w = s->wait;

	if (w == NULL) {
		w = s->wait = xcalloc(1, sizeof(*w));
		w->subscriber = s;
	} else {
		TAILQ_REMOVE(list_of(s->hub, s->awaited), w, link);
	}
	s->awaited = state;
	w->state_since_us = now_us;
	w->due = HUB_NOT_DUE;
	if (state != HUB_AWAITED)
		outbox_await_room(&s->outbox, 0);
	TAILQ_INSERT_TAIL(list_of(s->hub, state), w, link);
}

static void
end_wait(struct subscriber *s)
{
	TAILQ_REMOVE(list_of(s->hub, s->awaited), s->wait, link);
	s->awaited = HUB_NOT_AWAITED;
	outbox_await_room(&s->outbox, 0);
	xfree(s->wait);
	s->wait = NULL;
}

/* Makes p the subscriber's first publisher. */
static void
set_first_publisher(struct subscriber *s, const struct hub_publication *p)
{
	struct hub_wait *w = s->wait;

	assert(w != NULL);
	w->first_round = s->hub->round;
	w->ticket = p->ticket;
	w->publisher_since_us = p->since_us;
}

void
hub_stop_awaiting(struct subscriber *s)
{
	if (s->awaited == HUB_NOT_AWAITED)
		return;
	end_wait(s);
	s->ops->room(s);
}

/* Requests a round, because the first publisher may no longer wait for s. The subscriber is not
 * closed for late reading before that round is over. */
static void
recheck(struct subscriber *s)
{
	s->wait->first_round = s->hub->round - 1;
	s->wait->recheck_round = s->hub->round;
	s->ops->room(s);
}

void
hub_has_room(struct subscriber *s)
{
	if (s->awaited != HUB_AWAITED)
		return;
	if (s->outbox.sealed) {
		hub_stop_awaiting(s);
		return;
	}
	set_state(s, HUB_RESERVED, s->hub->now_us);
	s->ops->room(s);
}

void
hub_recheck(struct subscriber *s)
{
	if (s->awaited != HUB_NOT_AWAITED)
		recheck(s);
}

/* Whether the publisher, which has to wait for s, has waited too long. */
static bool
is_overdue(const struct subscriber *s, const struct hub_publication *p, uint64_t now_us)
{
	/* It cannot read while a reply is held: see hub_unbar(). */
	return s->awaited == HUB_AWAITED && s->wait->due == HUB_OVERDUE &&
	       s->outbox.barrier == NULL && now_us > p->since_us &&
	       now_us - p->since_us >= s->hub->wait_limit_us;
}

static void
await_room(struct subscriber *s, const struct hub_publication *p, size_t len, uint64_t now_us)
{
	const struct hub_wait *w = s->wait;

	if (w != NULL && w->first_round == s->hub->round && w->ticket < p->ticket)
		return;
	if (s->awaited != HUB_AWAITED)
		set_state(s, HUB_AWAITED, now_us);
	set_first_publisher(s, p);
	outbox_await_room(&s->outbox, len);
}

/* True if the publisher has to wait for s, which then records it; or s is closed, and the publisher
 * is tried again. */
static bool
waits_for(struct subscriber *s, size_t len, uint64_t now_us, struct hub_publication *p)
{
	if (outbox_would_block(&s->outbox, len)) {
		take_ticket(s->hub, p, now_us);
		if (is_overdue(s, p, now_us))
			hub_overflow(s);
		else
			await_room(s, p, len, now_us);
		return true;
	}
	if (s->awaited == HUB_NOT_AWAITED)
		return false;
	if (s->wait->ticket == p->ticket)
		s->wait->first_round = s->hub->round;
	if (p->ticket != 0 && p->ticket <= s->wait->ticket)
		return false;
	take_ticket(s->hub, p, now_us);
	return true;
}

bool
hub_waits_for(struct hub *hub, struct subscriber *s, size_t len, struct hub_publication *p)
{
	return len > 0 && waits_for(s, len, hub->now_us, p);
}

/* Called before anything is written, so that under OUTBOX_BLOCK a message is delivered to all
 * subscribers or to none yet. */
bool
hub_must_wait(struct hub *hub, struct hub_delivery *d, uint64_t now_us, struct hub_publication *p)
{
	bool waits = false;

	if (now_us > hub->now_us)
		hub->now_us = now_us;
	for (size_t i = 0; i < d->count; i++) {
		const struct topic *topic = hub_address(d, i);
		size_t len = 0;
		int len_form = -1; /* the form that len was computed for */

		for (uint32_t m = 0; m < topic->count; m++) {
			struct subscriber *s = topic->members[m].subscriber;

			if (s->is_queue) {
				waits = hub_queue_must_wait(hub, d, s, p) || waits;
				continue;
			}
			if (s == d->except || !hub_blocks(d, s) ||
			    hub_is_left_to_replay(hub, d, &topic->members[m]) ||
			    (d->dedup && hub_has_copy(hub, s)))
				continue;
			if (len_form != s->outbox.form) {
				len_form = s->outbox.form;
				len = hub_frame_len(hub, d, s->outbox.form);
			}
			if (len > 0 && waits_for(s, len, hub->now_us, p))
				waits = true;
		}
	}
	if (d->dedup)
		hub_end_copies(hub);
	return waits;
}

void
hub_reserve(
    struct hub *hub, const struct hub_delivery *d, uint64_t now_us, struct hub_publication *p)
{
	for (size_t i = 0; i < d->count; i++)
		for (uint32_t m = 0; m < d->topics[i]->count; m++) {
			struct subscriber *s = d->topics[i]->members[m].subscriber;

			if (s == d->except || !hub_blocks(d, s) || s->awaited != HUB_NOT_AWAITED ||
			    hub_is_left_to_replay(hub, d, &d->topics[i]->members[m]))
				continue;
			take_ticket(hub, p, now_us);
			set_state(s, HUB_RESERVED, now_us);
			set_first_publisher(s, p);
		}
}

void
hub_delivered(struct hub *hub, const struct hub_delivery *d, struct hub_publication *p)
{
	uint64_t ticket = p->ticket;

	p->ticket = 0;
	if (TAILQ_EMPTY(&hub->awaited) && TAILQ_EMPTY(&hub->reserved))
		return;
	for (size_t i = 0; i < d->count; i++)
		for (uint32_t m = 0; m < d->topics[i]->count; m++) {
			struct subscriber *s = d->topics[i]->members[m].subscriber;

			if (s->is_queue)
				hub_queue_delivered(s, ticket);
			else if (s->wait != NULL && s->wait->ticket == ticket)
				hub_stop_awaiting(s);
		}
}

/* ticket 0: of any publisher. */
static void
recheck_all(struct hub_waits *list, uint64_t ticket)
{
	struct hub_wait *w;

	TAILQ_FOREACH (w, list, link)
		if (ticket == 0 || w->ticket == ticket) {
			w->due = HUB_NOT_DUE;
			recheck(w->subscriber);
		}
}

void
hub_recheck_waiting(struct hub *hub)
{
	recheck_all(&hub->awaited, 0);
	recheck_all(&hub->reserved, 0);
}

void
hub_suspend_publication(struct hub *hub, struct hub_publication *p)
{
	hub_drop_drafts(hub, p);
	if (p->ticket == 0)
		return;
	recheck_all(&hub->awaited, p->ticket);
	recheck_all(&hub->reserved, p->ticket);
}

void
hub_end_publication(struct hub *hub, struct hub_publication *p)
{
	hub_suspend_publication(hub, p);
	*p = (struct hub_publication){0};
}

void
hub_begin_round(struct hub *hub)
{
	hub->round++;
}

/* Sets the start of the waiting time to the time when the first publisher that still waits began to
 * wait, and moves the subscriber to its new place in the list. */
static void
restart_time(struct hub_wait *w)
{
	struct hub_waits *list = &w->subscriber->hub->awaited;
	struct hub_wait *before;

	if (w->publisher_since_us <= w->state_since_us)
		return;
	w->state_since_us = w->publisher_since_us;
	w->due = HUB_NOT_DUE;
	TAILQ_REMOVE(list, w, link);
	before = TAILQ_LAST(list, hub_waits);
	while (before != NULL && before->state_since_us > w->state_since_us)
		before = TAILQ_PREV(before, hub_waits, link);
	if (before != NULL)
		TAILQ_INSERT_AFTER(list, before, w, link);
	else
		TAILQ_INSERT_HEAD(list, w, link);
}

/*
 * True if no publisher waited for the subscriber in this round. If a recheck was requested within
 * the round, the next round decides: otherwise a subscriber that keeps unsubscribing would restart
 * its waiting time each time.
 */
static bool
is_over(const struct hub_wait *w, uint32_t round)
{
	return w->first_round != round && w->recheck_round != round;
}

void
hub_end_round(struct hub *hub)
{
	struct hub_wait *w, *next;

	for (w = TAILQ_FIRST(&hub->reserved); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (is_over(w, hub->round))
			hub_stop_awaiting(w->subscriber);
	}
	for (w = TAILQ_FIRST(&hub->awaited); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (is_over(w, hub->round)) {
			hub_stop_awaiting(w->subscriber);
			continue;
		}
		if (w->retry_round != hub->round)
			w->due = HUB_NOT_DUE;
		restart_time(w);
	}
}

/*
 * Requests a round for each subscriber whose time is up. It is closed in that round if a publisher
 * still waits for it then. The hub needs this round because it is not told of some changes, for
 * example that a WATCH has failed the EXEC that waits.
 */
static void
note_overdue(struct hub *hub, uint64_t now_us, uint64_t limit_us)
{
	struct hub_wait *w;

	/* The waiting may have begun after the caller read the clock. */
	TAILQ_FOREACH (w, &hub->awaited, link) {
		if (now_us <= w->state_since_us || now_us - w->state_since_us < limit_us)
			return;
		if (w->due == HUB_OVERDUE || w->subscriber->outbox.barrier != NULL)
			continue;
		w->due = HUB_OVERDUE;
		w->retry_round = hub->round;
		w->subscriber->ops->room(w->subscriber);
	}
}

void
hub_unbar(struct subscriber *s)
{
	bool was_barred = s->outbox.barrier != NULL;

	outbox_unbar(&s->outbox);
	if (was_barred && s->awaited == HUB_AWAITED)
		set_state(s, HUB_AWAITED, s->hub->now_us);
}

void
hub_expire(struct hub *hub, uint64_t now_us, uint64_t limit_us)
{
	struct hub_wait *w;

	if (now_us > hub->now_us)
		hub->now_us = now_us;
	hub->wait_limit_us = limit_us;
	note_overdue(hub, now_us, limit_us);
	while ((w = TAILQ_FIRST(&hub->reserved)) != NULL && now_us > w->state_since_us &&
	       now_us - w->state_since_us >= RESERVED_US)
		hub_stop_awaiting(w->subscriber);
}
