#include "config.h"

#include <assert.h>

#include "base/alloc.h"
#include "pubsub/presence_state.h"

/* The states of members and channels: which event leads from which state to which. */

#define NEVER UINT8_MAX

static const uint8_t member_next[MEMBER_STATES][MEMBER_EVENTS] = {
    [MEMBER_GONE] = {[MEMBER_EVENT_JOINED] = MEMBER_CONNECTED,
	[MEMBER_EVENT_LEASED] = MEMBER_TIMED,
	[MEMBER_EVENT_PARTED] = NEVER,
	[MEMBER_EVENT_TIME_UP] = NEVER,
	[MEMBER_EVENT_REMOVED] = NEVER},
    [MEMBER_CONNECTED] = {[MEMBER_EVENT_JOINED] = MEMBER_CONNECTED,
	[MEMBER_EVENT_LEASED] = MEMBER_CONNECTED,
	[MEMBER_EVENT_PARTED] = MEMBER_TIMED,
	[MEMBER_EVENT_TIME_UP] = NEVER,
	[MEMBER_EVENT_REMOVED] = MEMBER_GONE},
    [MEMBER_TIMED] = {[MEMBER_EVENT_JOINED] = MEMBER_CONNECTED,
	[MEMBER_EVENT_LEASED] = MEMBER_TIMED,
	[MEMBER_EVENT_PARTED] = NEVER,
	[MEMBER_EVENT_TIME_UP] = MEMBER_GONE,
	[MEMBER_EVENT_REMOVED] = MEMBER_GONE},
};

enum channel_event {
	CHANNEL_EVENT_FIRST, /* the first member came */
	CHANNEL_EVENT_LAST,  /* the last member left */
	CHANNEL_EVENT_TIME_UP,
	CHANNEL_EVENTS,
};

static const uint8_t channel_next[CHANNEL_STATES][CHANNEL_EVENTS] = {
    [CHANNEL_VACANT] = {[CHANNEL_EVENT_FIRST] = CHANNEL_OCCUPIED,
	[CHANNEL_EVENT_LAST] = NEVER,
	[CHANNEL_EVENT_TIME_UP] = NEVER},
    [CHANNEL_OCCUPIED] = {[CHANNEL_EVENT_FIRST] = NEVER,
	[CHANNEL_EVENT_LAST] = CHANNEL_VACATING,
	[CHANNEL_EVENT_TIME_UP] = NEVER},
    [CHANNEL_VACATING] = {[CHANNEL_EVENT_FIRST] = CHANNEL_OCCUPIED,
	[CHANNEL_EVENT_LAST] = NEVER,
	[CHANNEL_EVENT_TIME_UP] = CHANNEL_VACANT},
};

static void
member_moved(void *thing, uint32_t place)
{
	((struct presence_record *)thing)->place = place;
}

static void
channel_moved(void *thing, uint32_t place)
{
	((struct presence_channel *)thing)->place = place;
}

const struct time_queue_ops presence_member_queue = {member_moved, xrealloc, xfree};
const struct time_queue_ops presence_channel_queue = {channel_moved, xrealloc, xfree};

/* Puts thing into the queue, changes its time, or takes it out. */
static void
requeue(struct time_queue *q, void *thing, uint32_t place, bool was_in, bool is_in, uint64_t at_us)
{
	if (was_in && is_in)
		time_queue_change(q, place, (int64_t)at_us);
	else if (was_in)
		time_queue_remove(q, place);
	else if (is_in)
		time_queue_add(q, thing, (int64_t)at_us);
}

/* A channel that nobody was told of need not wait. */
static void
channel_moves(
    struct presence *p, struct presence_channel *ch, enum channel_event event, uint64_t now_us)
{
	uint64_t delay_us = presence_channel_options(p, ch)->vacate_delay_us;
	uint8_t was = ch->state, is = channel_next[was][event];

	assert(is != NEVER);
	if (is == CHANNEL_VACATING && (delay_us == 0 || (!ch->announced && !ch->notice.is_queued)))
		is = channel_next[is][CHANNEL_EVENT_TIME_UP];
	ch->state = is;
	requeue(&p->channels_due, ch, ch->place, was == CHANNEL_VACATING, is == CHANNEL_VACATING,
	    now_us + delay_us);
	if (event == CHANNEL_EVENT_FIRST || is == CHANNEL_VACANT)
		presence_renote_channel(p, ch);
	else
		presence_note_channel(p, ch);
	presence_tidy_channel(p, ch);
}

/* The channel is occupied before its first member joins; see also presence_tell_all(). */
static void
arrive(struct presence *p, struct presence_record *m, uint64_t now_us)
{
	struct presence_channel *ch = m->channel;

	LIST_INSERT_HEAD(&ch->present, m, present);
	p->members++;
	if (p->tells_all)
		presence_note_member(p, m);
	if (ch->count++ == 0) {
		p->occupied++;
		channel_moves(p, ch, CHANNEL_EVENT_FIRST, now_us);
	}
	presence_note_member(p, m);
}

static void
depart(struct presence *p, struct presence_record *m, uint64_t now_us)
{
	struct presence_channel *ch = m->channel;

	m->lease_until_us = m->leave_at_us = 0;
	LIST_REMOVE(m, present);
	p->members--;
	presence_note_member(p, m);
	presence_tidy_record(p, m);
	if (--ch->count == 0) {
		p->occupied--;
		channel_moves(p, ch, CHANNEL_EVENT_LAST, now_us);
	}
}

void
presence_member_moves(struct presence *p, struct presence_record *m,
    enum presence_member_event event, uint64_t now_us)
{
	uint64_t until_us = later_us(m->lease_until_us, m->leave_at_us);
	uint8_t was = m->state, is = member_next[was][event];

	assert(is != NEVER);
	if (is == MEMBER_TIMED && until_us <= now_us)
		is = member_next[is][MEMBER_EVENT_TIME_UP];
	m->state = is;
	requeue(&p->members_due, m, m->place, was == MEMBER_TIMED, is == MEMBER_TIMED, until_us);
	if (was == MEMBER_GONE && is != MEMBER_GONE)
		arrive(p, m, now_us);
	else if (was != MEMBER_GONE && is == MEMBER_GONE)
		depart(p, m, now_us);
	else if (was != is && p->tells_all)
		presence_note_member(p, m);
}

static void *
due(const struct time_queue *q, uint64_t now_us)
{
	const struct time_queue_entry *first = time_queue_first(q);

	return first != NULL && (uint64_t)first->at <= now_us ? first->thing : NULL;
}

void
presence_expire(struct presence *p, uint64_t now_us, size_t *budget)
{
	void *thing;

	for (; *budget > 0 && (thing = due(&p->members_due, now_us)) != NULL; --*budget)
		presence_member_moves(p, thing, MEMBER_EVENT_TIME_UP, now_us);
	for (; *budget > 0 && (thing = due(&p->channels_due, now_us)) != NULL; --*budget)
		channel_moves(p, thing, CHANNEL_EVENT_TIME_UP, now_us);
}
