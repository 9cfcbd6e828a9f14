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
		TAILQ_INSERT_TAIL(&p->notices, notice, link);
		p->waiting++;
	} else {
		TAILQ_REMOVE(&p->notices, notice, link);
		p->waiting--;
	}
}

/* What had an event JOINED or OCCUPIED has its opposite even if the channel's presence was switched
 * off meanwhile: that is why all members leave. */
static bool
announces(const struct presence *p, struct presence_channel *ch, enum presence_announces what,
    enum presence_mode mode, bool is_end)
{
	const struct presence_options *options = presence_channel_options(p, ch);

	return (options->announces & what) != 0 && (is_end || options->mode >= mode);
}

/* *announced becomes false without an event if it is not wanted any more. */
static void
note(
    struct presence *p, struct presence_notice *notice, bool *announced, bool is_so, bool is_wanted)
{
	if (*announced != is_so && !is_wanted && !is_so)
		*announced = false;
	set_queued(p, notice, *announced != is_so && is_wanted);
}

void
presence_note_member(struct presence *p, struct presence_record *m)
{
	bool is_present = m->state != MEMBER_GONE;

	note(p, &m->notice, &m->announced, is_present,
	    announces(p, m->channel, PRESENCE_ANNOUNCES_JOINS, PRESENCE_MEMBERS, !is_present));
}

void
presence_note_channel(struct presence *p, struct presence_channel *ch)
{
	bool is_occupied = ch->state != CHANNEL_VACANT;

	note(p, &ch->notice, &ch->announced, is_occupied,
	    announces(p, ch, PRESENCE_ANNOUNCES_OCCUPIED, PRESENCE_COUNT, !is_occupied));
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

static void
give_member(struct presence *p, struct presence_record *m, struct presence_event *event)
{
	struct presence_channel *ch = m->channel;
	bool is_present = m->state != MEMBER_GONE;
	bool is_wanted = announces(p, ch, PRESENCE_ANNOUNCES_JOINS, PRESENCE_MEMBERS, !is_present);

	m->announced = is_present && is_wanted;
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

	ch->announced = is_occupied && is_wanted;
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
