#include "config.h"

#include "pubsub/hub_state.h"

/*
 * Publishers that wait for room under OUTBOX_BLOCK. A subscriber knows the first of them alone: the
 * one with the lowest ticket, whose message gets the next room. Later publishers keep off until
 * then, so that a large message does not starve behind small ones; and since the oldest publisher
 * keeps off nowhere, two never wait for each other.
 */

/* A subscriber with room is kept free so long for a publisher that waits for others, too. */
#define RESERVED_US 1000000

static void
take_place(struct hub *hub, struct hub_publication *p, uint64_t now_us)
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

/* From now on this is its first publisher. */
static void
set_first(struct subscriber *s, const struct hub_publication *p)
{
	s->round = s->seen = s->hub->round;
	s->ticket = p->ticket;
	s->publisher_since_us = p->since_us;
}

void
hub_let_go(struct subscriber *s)
{
	if (s->awaited == HUB_NOT_AWAITED)
		return;
	set_state(s, HUB_NOT_AWAITED, 0);
	s->ops->room(s);
}

/* The publisher is tried again, and finds out. Until the round is over nobody holds the waiting
 * against the subscriber. */
static void
doubt(struct subscriber *s)
{
	s->round = s->hub->round - 1;
	s->doubted = s->hub->round;
	s->ops->room(s);
}

void
hub_has_room(struct subscriber *s)
{
	if (s->awaited != HUB_AWAITED)
		return;
	if (s->outbox.sealed) {
		hub_let_go(s);
		return;
	}
	set_state(s, HUB_RESERVED, s->hub->now_us);
	s->ops->room(s);
}

void
hub_hears_less(struct subscriber *s)
{
	if (s->awaited != HUB_NOT_AWAITED)
		doubt(s);
}

static void
await_room(struct subscriber *s, const struct hub_publication *p, size_t len, uint64_t now_us)
{
	s->seen = s->hub->round;
	if (s->awaited != HUB_NOT_AWAITED && s->round == s->hub->round && s->ticket < p->ticket)
		return;
	if (s->awaited != HUB_AWAITED)
		set_state(s, HUB_AWAITED, now_us);
	set_first(s, p);
	outbox_await_room(&s->outbox, len);
}

/* Whether the publisher waits for s, which is noted. */
static bool
waits_for(struct subscriber *s, size_t len, uint64_t now_us, struct hub_publication *p)
{
	if (outbox_would_block(&s->outbox, len)) {
		take_place(s->hub, p, now_us);
		await_room(s, p, len, now_us);
		return true;
	}
	if (s->awaited == HUB_NOT_AWAITED)
		return false;
	if (s->ticket == p->ticket)
		s->round = s->hub->round;
	if (p->ticket != 0 && p->ticket <= s->ticket)
		return false;
	take_place(s->hub, p, now_us);
	return true;
}

/*
 * Under OUTBOX_BLOCK the question comes before anything is written, so that a message is either
 * delivered to all or not yet delivered at all.
 */
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
			take_place(hub, p, now_us);
			set_state(s, HUB_RESERVED, now_us);
			set_first(s, p);
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
				hub_let_go(s);
		}
}

static void
doubt_all(struct subscribers *list, uint64_t ticket)
{
	struct subscriber *s;

	TAILQ_FOREACH (s, list, awaiting)
		if (s->ticket == ticket) {
			s->due = HUB_NOT_DUE;
			doubt(s);
		}
}

void
hub_suspend_publication(struct hub *hub, struct hub_publication *p)
{
	hub_drop_drafts(hub, p);
	if (p->ticket == 0)
		return;
	doubt_all(&hub->awaited, p->ticket);
	doubt_all(&hub->reserved, p->ticket);
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

/* Publishers have waited for it only since the first of them, of those who still do, came. */
static void
put_later(struct subscriber *s)
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

/* Whether nobody was seen to wait for it. What became doubtful within the round, the next decides:
 * else a subscriber that unsubscribes again and again would begin its time anew with each. */
static bool
is_unwanted(const struct subscriber *s)
{
	return s->round != s->hub->round && s->doubted != s->hub->round;
}

void
hub_end_round(struct hub *hub)
{
	struct subscriber *s, *next;

	for (s = TAILQ_FIRST(&hub->reserved); s != NULL; s = next) {
		next = TAILQ_NEXT(s, awaiting);
		if (is_unwanted(s))
			hub_let_go(s);
	}
	for (s = TAILQ_FIRST(&hub->awaited); s != NULL; s = next) {
		next = TAILQ_NEXT(s, awaiting);
		if (is_unwanted(s)) {
			hub_let_go(s);
			continue;
		}
		if (s->due == HUB_ASKED && s->seen == hub->round && s->asked != hub->round)
			s->due = HUB_CONFIRMED;
		put_later(s);
	}
}

/*
 * The first subscriber whose time is up and for which publishers still waited when all of them were
 * tried after that: what they wait for can have changed unseen, as an EXEC's WATCH.
 */
static struct subscriber *
first_due(struct hub *hub, uint64_t now_us, uint64_t limit_us)
{
	struct subscriber *s;

	/* A subscriber may be awaited since after the caller looked at the clock. */
	TAILQ_FOREACH (s, &hub->awaited, awaiting) {
		if (now_us <= s->awaited_since_us || now_us - s->awaited_since_us < limit_us)
			return NULL;
		/* Behind a held reply it cannot read on: see hub_unbar(). */
		if (s->outbox.barrier != NULL)
			continue;
		if (s->due == HUB_CONFIRMED)
			return s;
		if (s->due == HUB_NOT_DUE) {
			s->due = HUB_ASKED;
			s->asked = hub->round;
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
		hub_let_go(s);
}
