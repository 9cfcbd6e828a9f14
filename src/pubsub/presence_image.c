#include "config.h"

#include "pubsub/presence_image.h"

#include "base/buckets_scan.h"
#include "base/buffer.h"
#include "pubsub/channel_tree.h"
#include "pubsub/presence_state.h"

struct writing {
	const struct presence_image_sink *sink;
	bool ok;
};

static void
write_member(struct bucket_node *node, void *arg)
{
	const struct presence_record *m = (const struct presence_record *)node;
	struct writing *w = arg;
	const struct presence_image_member member = {
	    .name = presence_record_name(m),
	    .info = {m->info_len > 0 ? m->info : "", m->info_len},
	    .is_connected = m->connections > 0,
	    .announced = m->announced,
	    .lease_until_us = m->lease_until_us,
	    .leave_at_us = m->leave_at_us,
	};

	w->ok = w->ok && w->sink->member(w->sink->arg, &member);
}

static bool
write_channel(const struct presence *p, const struct presence_channel *ch, struct writing *w)
{
	const struct presence_image_channel channel = {
	    .name = presence_channel_name(ch),
	    .announced = ch->announced,
	    .vacant_at_us = ch->state == CHANNEL_VACATING
				? (uint64_t)time_queue_at(&p->channels_due, ch->place)->at
				: 0,
	};
	uint64_t cursor = 0;

	if (!w->sink->channel(w->sink->arg, &channel))
		return false;
	do
		cursor = buckets_scan(&ch->records, cursor, write_member, w);
	while (cursor != 0 && w->ok);
	return w->ok;
}

bool
presence_image_write(const struct presence *p, const struct presence_image_sink *sink)
{
	struct writing w = {.sink = sink, .ok = true};
	const struct topic *topic = channel_tree_next(p->names, (struct slice){NULL, 0});

	while (topic != NULL && write_channel(p, presence_find_channel(p, topic_name(topic)), &w))
		topic = channel_tree_next(
		    p->names, topic_name(topic).len > 0 ? topic_name(topic) : SLICE(""));
	return topic == NULL;
}

bool
presence_image_add_channel(struct presence *p, const struct presence_image_channel *channel)
{
	struct presence_options options;
	struct presence_channel *ch;

	if (channel->name.len > PRESENCE_CHANNEL_MAX || channel->vacant_at_us > INT64_MAX ||
	    presence_find_channel(p, channel->name) != NULL)
		return false;
	p->config.options(p->config.arg, channel->name, &options);
	ch = presence_add_channel(p, channel->name, &options);
	ch->announced = channel->announced;
	if (channel->vacant_at_us > 0) {
		ch->state = CHANNEL_VACATING;
		time_queue_add(&p->channels_due, ch, (int64_t)channel->vacant_at_us);
	}
	return true;
}

static bool
is_sound(const struct presence_image_member *member)
{
	return member->name.len > 0 && member->name.len <= PRESENCE_MEMBER_MAX &&
	       member->info.len <= PRESENCE_INFO_MAX && member->lease_until_us <= INT64_MAX &&
	       member->leave_at_us <= INT64_MAX;
}

/* One whose time is over leaves in the next turn, with its event. */
bool
presence_image_add_member(struct presence *p, struct presence_owner *elsewhere,
    struct slice channel, const struct presence_image_member *member, uint64_t now_us)
{
	struct presence_channel *ch = presence_find_channel(p, channel);
	uint64_t until_us = later_us(member->lease_until_us, member->leave_at_us);
	struct presence_record *m;

	if (ch == NULL || !is_sound(member) || presence_find_record(ch, member->name) != NULL)
		return false;
	m = presence_add_record(p, ch, member->name);
	presence_set_announced(m, member->announced);
	if (ch->options.mode != PRESENCE_COUNT)
		presence_set_info(p, m, member->info);
	m->lease_until_us = member->lease_until_us;
	m->leave_at_us = member->leave_at_us;
	if (member->is_connected) {
		presence_add_join(p, elsewhere, m);
		presence_member_moves(p, m, MEMBER_EVENT_JOINED, now_us);
	} else if (until_us > 0) {
		if (until_us <= now_us)
			m->leave_at_us = now_us + 1;
		presence_member_moves(p, m, MEMBER_EVENT_LEASED, now_us);
	} else {
		presence_note_member(p, m);
		presence_tidy_record(p, m);
	}
	return true;
}

/* The events of channels come behind those of the members that have left. */
void
presence_image_end(struct presence *p)
{
	struct topic *topic = channel_tree_next(p->names, (struct slice){NULL, 0});
	struct buffer name = {0};

	while (topic != NULL) {
		struct presence_channel *ch = presence_find_channel(p, topic_name(topic));

		buffer_clear(&name);
		buffer_append_slice(&name, topic_name(topic));
		presence_note_channel(p, ch);
		presence_tidy_channel(p, ch);
		topic = channel_tree_next(p->names, name.len > 0 ? buffer_slice(&name) : SLICE(""));
	}
	buffer_release(&name);
	presence_reconfigured(p);
}
