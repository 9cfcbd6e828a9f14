#include "config.h"

#include "pubsub/presence.h"

#include <assert.h>

#include "base/alloc.h"
#include "pubsub/channel_tree.h"
#include "pubsub/presence_state.h"

/* The rate is a little lower, and the burst small: no second has more than
 * PRESENCE_EVENTS_A_SECOND. */
#define EVENT_BURST 100
#define EVENT_RATE (PRESENCE_EVENTS_A_SECOND - EVENT_BURST)

struct presence *
presence_new(const struct presence_config *config)
{
	struct presence *p = xcalloc(1, sizeof(*p));

	p->config = *config;
	p->names = channel_tree_new();
	time_queue_init(&p->members_due, &presence_member_queue);
	time_queue_init(&p->channels_due, &presence_channel_queue);
	TAILQ_INIT(&p->notices);
	rate_limit_init(&p->rate, EVENT_RATE, EVENT_BURST);
	return p;
}

void
presence_free(struct presence *p)
{
	presence_free_records(p);
	time_queue_release(&p->members_due);
	time_queue_release(&p->channels_due);
	channel_tree_free(p->names);
	buffer_release(&p->given);
	buffer_release(&p->walked);
	buffer_release(&p->retold);
	xfree(p);
}

void
presence_owner_init(struct presence_owner *owner)
{
	TAILQ_INIT(&owner->joins);
	owner->count = 0;
}

/* A request to join or touch, and the records that it concerns; NULL: there is none yet. */
struct entry {
	struct slice channel, member, info;
	struct presence_owner *owner; /* NULL: a lease */
	struct presence_channel *ch;
	struct presence_record *m;
	struct presence_join *join;
	struct presence_options options;
};

static void
look_up(struct presence *p, struct entry *e)
{
	e->ch = presence_find_channel(p, e->channel);
	if (e->ch != NULL) {
		e->options = *presence_channel_options(p, e->ch);
		e->m = presence_find_record(e->ch, e->member);
	} else {
		p->config.options(p->config.arg, e->channel, &e->options);
	}
	if (e->m != NULL && e->owner != NULL)
		e->join = presence_find_join(p, e->owner, e->m);
	if (e->options.mode == PRESENCE_COUNT)
		e->info.len = 0;
}

static size_t
bytes_needed(const struct entry *e)
{
	size_t info_len = e->m != NULL ? e->m->info_len : 0, bytes = 0;

	if (e->ch == NULL)
		bytes += presence_channel_bytes(e->channel);
	if (e->m == NULL)
		bytes += presence_record_bytes(e->member);
	if (e->owner != NULL && e->join == NULL)
		bytes += presence_join_bytes();
	if (e->info.ptr != NULL && e->info.len > info_len)
		bytes += e->info.len - info_len;
	return bytes;
}

/* Whether the entry is allowed: PRESENCE_NEW or PRESENCE_PRESENT, or the reason why not. */
static enum presence_result
check(const struct presence *p, const struct entry *e)
{
	const struct presence_limits *limits = p->config.limits;
	bool is_new = e->m == NULL || e->m->state == MEMBER_GONE;
	size_t bytes = bytes_needed(e);

	if (e->options.mode == PRESENCE_NO)
		return PRESENCE_OFF;
	if (is_new && e->ch != NULL && e->ch->count >= limits->members)
		return PRESENCE_TOO_MANY_MEMBERS;
	if (e->owner != NULL && e->join == NULL && e->owner->count >= limits->joins)
		return PRESENCE_TOO_MANY_JOINS;
	if (bytes > 0 && p->bytes + bytes > limits->memory_bytes)
		return PRESENCE_NO_MEMORY;
	return is_new ? PRESENCE_NEW : PRESENCE_PRESENT;
}

/* Adds the records that are missing. A member that returns begins with a new info. */
static void
enter(struct presence *p, struct entry *e)
{
	if (e->ch == NULL)
		e->ch = presence_add_channel(p, e->channel, &e->options);
	if (e->m == NULL)
		e->m = presence_add_record(p, e->ch, e->member);
	if (e->info.ptr == NULL && e->m->state != MEMBER_GONE)
		return;
	if (p->tells_all && !slice_eq(e->info, (struct slice){e->m->info, e->m->info_len}))
		presence_note_stale(p, e->m);
	presence_set_info(p, e->m, e->info);
}

enum presence_result
presence_join(struct presence *p, struct presence_owner *owner, struct slice channel,
    struct slice member, struct slice info, uint64_t now_us)
{
	struct entry e = {.channel = channel, .member = member, .info = info, .owner = owner};
	enum presence_result result;

	look_up(p, &e);
	result = check(p, &e);
	if (result != PRESENCE_NEW && result != PRESENCE_PRESENT)
		return result;
	enter(p, &e);
	if (e.join == NULL) {
		presence_add_join(p, owner, e.m);
		presence_member_moves(p, e.m, MEMBER_EVENT_JOINED, now_us);
	}
	return result;
}

enum presence_result
presence_touch(struct presence *p, struct slice channel, struct slice member, uint64_t lease_us,
    struct slice info, uint64_t now_us)
{
	struct entry e = {.channel = channel, .member = member, .info = info};
	enum presence_result result;

	look_up(p, &e);
	if (lease_us == 0 && e.options.mode != PRESENCE_NO &&
	    (e.m == NULL || e.m->state == MEMBER_GONE))
		return PRESENCE_PRESENT;
	result = check(p, &e);
	if (result != PRESENCE_NEW && result != PRESENCE_PRESENT)
		return result;
	enter(p, &e);
	e.m->lease_until_us = lease_us > 0 ? now_us + lease_us : 0;
	presence_member_moves(p, e.m, MEMBER_EVENT_LEASED, now_us);
	return result;
}

/* The member may be freed. */
static void
part(struct presence *p, struct presence_join *join, uint64_t now_us)
{
	struct presence_record *m = join->member;

	presence_free_join(p, join);
	if (m->connections > 0)
		return;
	if (p->config.parted != NULL)
		p->config.parted(
		    p->config.arg, presence_channel_name(m->channel), presence_record_name(m));
	m->leave_at_us = now_us + presence_channel_options(p, m->channel)->leave_delay_us;
	presence_member_moves(p, m, MEMBER_EVENT_PARTED, now_us);
}

bool
presence_leave(struct presence *p, struct presence_owner *owner, struct slice channel,
    struct slice member, uint64_t now_us)
{
	struct presence_channel *ch = presence_find_channel(p, channel);
	struct presence_record *m = ch != NULL ? presence_find_record(ch, member) : NULL;
	struct presence_join *join = m != NULL ? presence_find_join(p, owner, m) : NULL;

	if (join == NULL)
		return false;
	part(p, join, now_us);
	return true;
}

bool
presence_detach(struct presence *p, struct presence_owner *owner, uint64_t now_us, size_t budget)
{
	struct presence_join *join;

	while ((join = TAILQ_FIRST(&owner->joins)) != NULL && budget-- > 0)
		part(p, join, now_us);
	return join == NULL;
}

bool
presence_first_join(const struct presence_owner *owner, struct slice *channel)
{
	const struct presence_join *join = TAILQ_FIRST(&owner->joins);

	if (join == NULL)
		return false;
	*channel = presence_channel_name(join->member->channel);
	return true;
}

void
presence_rotate_joins(struct presence_owner *owner)
{
	struct presence_join *join = TAILQ_FIRST(&owner->joins);

	if (join == NULL)
		return;
	TAILQ_REMOVE(&owner->joins, join, of_owner);
	TAILQ_INSERT_TAIL(&owner->joins, join, of_owner);
}

void
presence_reconfigured(struct presence *p)
{
	p->options_version++;
	p->is_walking = true;
	p->walk_has_name = false;
}

/* Removes a connection of the member, and the member with its last one. */
static void
remove_in_part(struct presence *p, struct presence_record *m, uint64_t now_us)
{
	if (!LIST_EMPTY(&m->joins))
		presence_free_join(p, LIST_FIRST(&m->joins));
	if (m->connections == 0)
		presence_member_moves(p, m, MEMBER_EVENT_REMOVED, now_us);
}

/* Removes members while there is budget. The channel may be freed. */
static void
empty(struct presence *p, struct presence_channel *ch, uint64_t now_us, size_t *budget)
{
	bool is_last = false;

	for (; !is_last && *budget > 0; --*budget) {
		struct presence_record *m = LIST_FIRST(&ch->present);

		is_last = ch->count == 1 && m->connections <= 1;
		remove_in_part(p, m, now_us);
	}
}

/* The name may be empty, and then has no memory. */
static struct slice
walked(const struct presence *p)
{
	if (!p->walk_has_name)
		return (struct slice){NULL, 0};
	return p->walked.len > 0 ? buffer_slice(&p->walked) : SLICE("");
}

/*
 * Reads the options of each channel again, and empties those that have no presence any more. A
 * channel that had members is looked at once more: it may be gone.
 */
static void
walk(struct presence *p, uint64_t now_us, size_t *budget)
{
	struct presence_channel *ch;
	const struct topic *topic;

	for (; p->is_walking && *budget > 0; --*budget) {
		topic = channel_tree_next(p->names, walked(p));
		if (topic == NULL) {
			p->is_walking = false;
			return;
		}
		ch = presence_find_channel(p, topic_name(topic));
		if (presence_channel_options(p, ch)->mode == PRESENCE_NO && ch->count > 0) {
			empty(p, ch, now_us, budget);
			if (*budget == 0)
				return;
			continue;
		}
		buffer_clear(&p->walked);
		buffer_append_slice(&p->walked, topic_name(topic));
		p->walk_has_name = true;
	}
}

bool
presence_turn(struct presence *p, uint64_t now_us, size_t budget)
{
	presence_expire(p, now_us, &budget);
	walk(p, now_us, &budget);
	presence_walk_to_retell(p, &budget);
	return budget == 0;
}

uint64_t
presence_turn_due_us(const struct presence *p, uint64_t now_us)
{
	const struct time_queue_entry *queued[2] = {
	    time_queue_first(&p->members_due), time_queue_first(&p->channels_due)};
	uint64_t due_us = UINT64_MAX;

	if (p->is_walking || p->is_retelling)
		return now_us;
	for (size_t i = 0; i < 2; i++)
		if (queued[i] != NULL && (uint64_t)queued[i]->at < due_us)
			due_us = (uint64_t)queued[i]->at;
	return due_us > now_us ? due_us : now_us;
}

uint64_t
presence_due_us(const struct presence *p, uint64_t now_us)
{
	uint64_t due_us = presence_turn_due_us(p, now_us);

	if (p->waiting > 0 && p->next_event_us < due_us)
		due_us = p->next_event_us;
	return due_us > now_us ? due_us : now_us;
}
