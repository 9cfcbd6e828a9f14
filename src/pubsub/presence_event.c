#include "config.h"

#include <stddef.h>

#include "pubsub/presence_state.h"

/*
 * The events that wait to be given out. Each member and channel remembers what its last event said.
 * While that is not true any more it is in one list, and when its turn comes the event says what is
 * true then. So a member that leaves and returns meanwhile has no event at all.
 */

/* How long to wait for the rate: some tens of events are given out at once. */
#define PAUSE_US 5000

static struct presence_record *
record_of(struct presence_notice *notice)
{
	return (void *)((char *)notice - offsetof(struct presence_record, notice));
}

static struct presence_channel *
channel_of(struct presence_notice *notice)
{
	return (void *)((char *)notice - offsetof(struct presence_channel, notice));
}

static void
set_queued(struct presence *p, struct presence_notice *notice, bool is_queued)
{
	if (notice->is_queued == is_queued)
		return;
	notice->is_queued = is_queued;
	if (is_queued) {
		notice->number = ++p->noticed;
		TAILQ_INSERT_TAIL(&p->notices, notice, link);
		p->waiting++;
	} else {
		TAILQ_REMOVE(&p->notices, notice, link);
		p->waiting--;
	}
}

uint64_t
presence_events_mark(const struct presence *p)
{
	return p->noticed;
}

bool
presence_events_given(const struct presence *p, uint64_t mark)
{
	const struct presence_notice *first = TAILQ_FIRST(&p->notices);

	return first == NULL || first->number > mark;
}

/* What had an event JOINED or OCCUPIED has its opposite even if the channel's presence was switched
 * off meanwhile: that is why all members leave. */
static bool
announces(const struct presence *p, struct presence_channel *ch, enum presence_announces what,
    enum presence_mode mode, bool is_end)
{
	const struct presence_options *options = presence_channel_options(p, ch);

	if (p->tells_all)
		return true;
	return (options->announces & what) != 0 && (is_end || options->mode >= mode);
}

void
presence_set_announced(struct presence_record *m, bool is_announced)
{
	if (m->announced == is_announced)
		return;
	m->announced = is_announced;
	if (is_announced)
		m->channel->told++;
	else
		m->channel->told--;
}

/* What was announced ends without an event if that is not wanted any more. */
void
presence_note_member(struct presence *p, struct presence_record *m)
{
	bool is_present = m->state != MEMBER_GONE;
	bool is_wanted =
	    announces(p, m->channel, PRESENCE_ANNOUNCES_JOINS, PRESENCE_MEMBERS, !is_present);
	bool differs = p->tells_all && is_present &&
		       (m->is_stale || m->was_connected != (m->state == MEMBER_CONNECTED));

	if (m->announced && !is_present && !is_wanted)
		presence_set_announced(m, false);
	set_queued(p, &m->notice, is_wanted && (m->announced != is_present || differs));
}

void
presence_note_stale(struct presence *p, struct presence_record *m)
{
	m->is_stale = p->tells_all;
	presence_note_member(p, m);
}

void
presence_note_channel(struct presence *p, struct presence_channel *ch)
{
	bool is_occupied = ch->state != CHANNEL_VACANT;
	bool is_wanted =
	    announces(p, ch, PRESENCE_ANNOUNCES_OCCUPIED, PRESENCE_COUNT, !is_occupied);

	if (ch->announced && !is_occupied && !is_wanted)
		ch->announced = false;
	set_queued(p, &ch->notice,
	    is_wanted && (ch->announced != is_occupied || (ch->is_stale && is_occupied)));
}

void
presence_renote_channel(struct presence *p, struct presence_channel *ch)
{
	if (p->tells_all) {
		set_queued(p, &ch->notice, false);
		ch->is_stale = ch->state == CHANNEL_OCCUPIED;
	}
	presence_note_channel(p, ch);
}

void
presence_tidy_record(struct presence *p, struct presence_record *m)
{
	if (m->state == MEMBER_GONE && !m->notice.is_queued)
		presence_free_record(p, m);
}

void
presence_tidy_channel(struct presence *p, struct presence_channel *ch)
{
	if (ch->state == CHANNEL_VACANT && !ch->notice.is_queued && ch->records.count == 0)
		presence_free_channel(p, ch);
}

/* Copies the slices: the records may be freed before the event is used. */
static void
give(struct presence *p, struct presence_event *event, enum presence_event_kind kind,
    struct slice channel, struct slice member, struct slice info)
{
	struct buffer *given = &p->given;

	buffer_clear(given);
	(void)buffer_reserve(given, channel.len + member.len + info.len + 1);
	buffer_append_slice(given, channel);
	buffer_append_slice(given, member);
	buffer_append_slice(given, info);
	event->kind = kind;
	event->channel = (struct slice){given->ptr, channel.len};
	event->member = (struct slice){given->ptr + channel.len, member.len};
	event->info = (struct slice){given->ptr + channel.len + member.len, info.len};
}

static bool
is_public(struct presence *p, struct presence_record *m, bool is_present)
{
	const struct presence_options *options = presence_channel_options(p, m->channel);

	return (options->announces & PRESENCE_ANNOUNCES_JOINS) != 0 &&
	       (is_present ? options->mode >= PRESENCE_MEMBERS : m->was_public);
}

static void
give_member(struct presence *p, struct presence_record *m, struct presence_event *event)
{
	struct presence_channel *ch = m->channel;
	bool is_present = m->state != MEMBER_GONE;
	bool is_wanted = announces(p, ch, PRESENCE_ANNOUNCES_JOINS, PRESENCE_MEMBERS, !is_present);

	presence_set_announced(m, is_present && is_wanted);
	event->is_public = is_public(p, m, is_present);
	m->was_public = is_present && (m->was_public || event->is_public);
	m->is_stale = false;
	m->was_connected = event->is_connected = m->state == MEMBER_CONNECTED;
	if (is_wanted)
		give(p, event, is_present ? PRESENCE_JOINED : PRESENCE_LEFT,
		    presence_channel_name(ch), presence_record_name(m),
		    (struct slice){m->info, m->info_len});
	presence_tidy_record(p, m);
	presence_tidy_channel(p, ch);
}

static void
give_channel(struct presence *p, struct presence_channel *ch, struct presence_event *event)
{
	bool is_occupied = ch->state != CHANNEL_VACANT;
	bool is_wanted =
	    announces(p, ch, PRESENCE_ANNOUNCES_OCCUPIED, PRESENCE_COUNT, !is_occupied);

	if (p->tells_all && ch->count > 0 && ch->told == 0) {
		/* Its members are told first: their events wait. */
		set_queued(p, &ch->notice, true);
		return;
	}
	ch->announced = is_occupied && is_wanted;
	ch->is_stale = false;
	if (is_wanted)
		give(p, event, is_occupied ? PRESENCE_OCCUPIED : PRESENCE_VACATED,
		    presence_channel_name(ch), (struct slice){NULL, 0}, (struct slice){NULL, 0});
	presence_tidy_channel(p, ch);
}

bool
presence_next_event(struct presence *p, uint64_t now_us, struct presence_event *event)
{
	struct presence_notice *notice = TAILQ_FIRST(&p->notices);

	if (notice == NULL)
		return false;
	if (!rate_limit_take(&p->rate, now_us)) {
		p->next_event_us = now_us + PAUSE_US;
		return false;
	}
	set_queued(p, notice, false);
	*event = (struct presence_event){.kind = PRESENCE_NO_EVENT};
	if (notice->of_channel)
		give_channel(p, channel_of(notice), event);
	else
		give_member(p, record_of(notice), event);
	return true;
}

void
presence_event_of(
    struct presence *p, struct slice channel, struct slice member, struct presence_event *event)
{
	struct presence_channel *ch = presence_find_channel(p, channel);
	struct presence_record *m;

	*event = (struct presence_event){.kind = PRESENCE_NO_EVENT};
	if (ch == NULL)
		return;
	if (member.len == 0) {
		if (ch->state == CHANNEL_VACANT && !ch->notice.is_queued)
			return;
		set_queued(p, &ch->notice, false);
		give_channel(p, ch, event);
		return;
	}
	m = presence_find_record(ch, member);
	if (m == NULL || (m->state == MEMBER_GONE && !m->notice.is_queued))
		return;
	set_queued(p, &m->notice, false);
	give_member(p, m, event);
}
