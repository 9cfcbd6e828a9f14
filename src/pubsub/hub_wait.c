#include "config.h"

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

static struct subscribers *
list_of(struct hub *hub, uint8_t state)
{
	return state == HUB_AWAITED ? &hub->awaited : &hub->reserved;
}

static void
set_state(struct subscriber *s, enum hub_awaited state, uint64_t now_us)
{
	if (s->awaited != HUB_NOT_AWAITED)
		TAILQ_REMOVE(list_of(s->hub, s->awaited), s, awaiting);
	s->awaited = state;
	s->awaited_since_us = now_us;
	s->due = HUB_NOT_DUE;
	if (state != HUB_AWAITED)
		outbox_await_room(&s->outbox, 0);
	if (state != HUB_NOT_AWAITED)
		TAILQ_INSERT_TAIL(list_of(s->hub, state), s, awaiting);
}

/* Makes p the subscriber's first publisher. */
static void
set_first_publisher(struct subscriber *s, const struct hub_publication *p)
{
	s->first_round = s->seen_round = s->hub->round;
	s->ticket = p->ticket;
	s->publisher_since_us = p->since_us;
}

void
hub_stop_awaiting(struct subscriber *s)
{
	if (s->awaited == HUB_NOT_AWAITED)
		return;
	set_state(s, HUB_NOT_AWAITED, 0);
	s->ops->room(s);
}

/* Has publishers tried again, since the first one may no longer wait for s. Until that round is
 * over the waiting does not count against the subscriber. */
static void
recheck(struct subscriber *s)
{
	s->first_round = s->hub->round - 1;
	s->recheck_round = s->hub->round;
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
hub_lost_subscription(struct subscriber *s)
{
	if (s->awaited != HUB_NOT_AWAITED)
		recheck(s);
}

static void
await_room(struct subscriber *s, const struct hub_publication *p, size_t len, uint64_t now_us)
{
	s->seen_round = s->hub->round;
	if (s->awaited != HUB_NOT_AWAITED && s->first_round == s->hub->round &&
	    s->ticket < p->ticket)
		return;
	if (s->awaited != HUB_AWAITED)
		set_state(s, HUB_AWAITED, now_us);
	set_first_publisher(s, p);
	outbox_await_room(&s->outbox, len);
}

/* Whether the publisher has to wait for s; registers it there if so. */
static bool
waits_for(struct subscriber *s, size_t len, uint64_t now_us, struct hub_publication *p)
{
	if (outbox_would_block(&s->outbox, len)) {
		take_ticket(s->hub, p, now_us);
		await_room(s, p, len, now_us);
		return true;
	}
	if (s->awaited == HUB_NOT_AWAITED)
		return false;
	if (s->ticket == p->ticket)
		s->first_round = s->hub->round;
	if (p->ticket != 0 && p->ticket <= s->ticket)
		return false;
	take_ticket(s->hub, p, now_us);
	return true;
}

/* Called before anything is written, so that under OUTBOX_BLOCK a message is delivered either to
 * all subscribers or, for now, to none. */
bool
hub_must_wait(struct hub *hub, struct hub_delivery *d, uint64_t now_us, struct hub_publication *p)
{
	bool waits = false;

	if (now_us > hub->now_us)
		hub->now_us = now_us;
	for (size_t i = 0; i < d->count; i++) {
		const struct topic *topic = hub_address(d, i);
		size_t len = 0;
		int len_form = -1; /* len is that of this form */

		for (uint32_t m = 0; m < topic->count; m++) {
			struct subscriber *s = topic->members[m].subscriber;

			if (!s->blocking || s->outbox.sealed)
				continue;
			if (len_form != s->outbox.form) {
				len_form = s->outbox.form;
				len = hub_frame_len(hub, d, s->outbox.form);
			}
			if (len > 0 && waits_for(s, len, hub->now_us, p))
				waits = true;
		}
	}
	return waits;
}

void
hub_reserve(
    struct hub *hub, const struct hub_delivery *d, uint64_t now_us, struct hub_publication *p)
{
	for (size_t i = 0; i < d->count; i++)
		for (uint32_t m = 0; m < d->topics[i]->count; m++) {
			struct subscriber *s = d->topics[i]->members[m].subscriber;

			if (!s->blocking || s->outbox.sealed || s->awaited != HUB_NOT_AWAITED)
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

			if (s->awaited != HUB_NOT_AWAITED && s->ticket == ticket)
				hub_stop_awaiting(s);
		}
}

static void
recheck_all(struct subscribers *list, uint64_t ticket)
{
	struct subscriber *s;

	TAILQ_FOREACH (s, list, awaiting)
		if (s->ticket == ticket) {
			s->due = HUB_NOT_DUE;
			recheck(s);
		}
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

/* The waiting counts from the time when the first publisher that still waits began to wait: moves
 * the subscriber to that time's place in the list. */
static void
restart_time(struct subscriber *s)
{
	struct subscribers *list = &s->hub->awaited;
	struct subscriber *before;

	if (s->publisher_since_us <= s->awaited_since_us)
		return;
	s->awaited_since_us = s->publisher_since_us;
	s->due = HUB_NOT_DUE;
	TAILQ_REMOVE(list, s, awaiting);
	before = TAILQ_LAST(list, subscribers);
	while (before != NULL && before->awaited_since_us > s->awaited_since_us)
		before = TAILQ_PREV(before, subscribers, awaiting);
	if (before != NULL)
		TAILQ_INSERT_AFTER(list, before, s, awaiting);
	else
		TAILQ_INSERT_HEAD(list, s, awaiting);
}

/*
 * Whether no publisher waited for the subscriber in this round. If a recheck was requested within
 * the round the next round decides: otherwise a subscriber that unsubscribes again and again would
 * restart its time with each.
 */
static bool
is_no_longer_awaited(const struct subscriber *s)
{
	return s->first_round != s->hub->round && s->recheck_round != s->hub->round;
}

void
hub_end_round(struct hub *hub)
{
	struct subscriber *s, *next;

	for (s = TAILQ_FIRST(&hub->reserved); s != NULL; s = next) {
		next = TAILQ_NEXT(s, awaiting);
		if (is_no_longer_awaited(s))
			hub_stop_awaiting(s);
	}
	for (s = TAILQ_FIRST(&hub->awaited); s != NULL; s = next) {
		next = TAILQ_NEXT(s, awaiting);
		if (is_no_longer_awaited(s)) {
			hub_stop_awaiting(s);
			continue;
		}
		if (s->due == HUB_RETRYING && s->seen_round == hub->round &&
		    s->retry_round != hub->round)
			s->due = HUB_OVERDUE;
		restart_time(s);
	}
}

/*
 * The first subscriber whose time is up and for which publishers still waited when they were tried
 * again after that; that retry finds changes that the hub is not told of, such as a WATCH of an
 * EXEC. Requests the retry for those whose time is up and that had none yet.
 */
static struct subscriber *
first_due(struct hub *hub, uint64_t now_us, uint64_t limit_us)
{
	struct subscriber *s;

	/* The waiting may have begun after the caller read the clock. */
	TAILQ_FOREACH (s, &hub->awaited, awaiting) {
		if (now_us <= s->awaited_since_us || now_us - s->awaited_since_us < limit_us)
			return NULL;
		/* A held reply keeps it from reading: see hub_unbar(). */
		if (s->outbox.barrier != NULL)
			continue;
		if (s->due == HUB_OVERDUE)
			return s;
		if (s->due == HUB_NOT_DUE) {
			s->due = HUB_RETRYING;
			s->retry_round = hub->round;
			s->ops->room(s);
		}
	}
	return NULL;
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
	struct subscriber *s;

	if (now_us > hub->now_us)
		hub->now_us = now_us;
	while ((s = first_due(hub, now_us, limit_us)) != NULL) {
		outbox_close(&s->outbox);
		s->ops->overflow(s);
	}
	while ((s = TAILQ_FIRST(&hub->reserved)) != NULL && now_us > s->awaited_since_us &&
	       now_us - s->awaited_since_us >= RESERVED_US)
		hub_stop_awaiting(s);
}
