#include "config.h"

#include "base/buckets_scan.h"
#include "pubsub/channel_tree.h"
#include "pubsub/presence_state.h"

/* What is present: counts, lists, figures. */

size_t
presence_count(const struct presence *p, struct slice channel)
{
	const struct presence_channel *ch = presence_find_channel(p, channel);

	return ch != NULL ? ch->count : 0;
}

bool
presence_is_occupied(const struct presence *p, struct slice channel)
{
	const struct presence_channel *ch = presence_find_channel(p, channel);

	return ch != NULL && ch->state != CHANNEL_VACANT;
}

enum presence_mode
presence_mode_of(const struct presence *p, struct slice channel)
{
	struct presence_channel *ch = presence_find_channel(p, channel);
	struct presence_options options;

	if (ch != NULL)
		return presence_channel_options(p, ch)->mode;
	p->config.options(p->config.arg, channel, &options);
	return options.mode;
}

static struct presence_member
member_of(const struct presence_record *m)
{
	return (struct presence_member){
	    .name = presence_record_name(m),
	    .info = {m->info_len > 0 ? m->info : "", m->info_len},
	    .connections = m->connections,
	};
}

bool
presence_look(const struct presence *p, struct slice channel, struct slice member,
    struct presence_member *out)
{
	const struct presence_channel *ch = presence_find_channel(p, channel);
	const struct presence_record *m = ch != NULL ? presence_find_record(ch, member) : NULL;

	if (m == NULL || m->state == MEMBER_GONE)
		return false;
	*out = member_of(m);
	return true;
}

struct visit {
	void (*visit)(void *arg, const struct presence_member *member);
	void *arg;
};

static void
visit_record(struct bucket_node *node, void *arg)
{
	const struct presence_record *m = (const struct presence_record *)node;
	const struct visit *visit = arg;
	const struct presence_member member = member_of(m);

	if (m->state != MEMBER_GONE)
		visit->visit(visit->arg, &member);
}

uint64_t
presence_scan(const struct presence *p, struct slice channel, uint64_t cursor,
    void (*visit)(void *arg, const struct presence_member *member), void *arg)
{
	const struct presence_channel *ch = presence_find_channel(p, channel);
	struct visit visiting = {visit, arg};

	return ch != NULL ? buckets_scan(&ch->records, cursor, visit_record, &visiting) : 0;
}

bool
presence_next_channel(
    const struct presence *p, struct slice after, struct slice *name, size_t *count)
{
	const struct topic *topic = channel_tree_next(p->names, after);

	if (topic == NULL)
		return false;
	*name = topic_name(topic);
	*count = presence_count(p, *name);
	return true;
}

struct presence_figures
presence_figures(const struct presence *p)
{
	return (struct presence_figures){
	    .channels = p->occupied,
	    .members = p->members,
	    .joins = p->joins.count,
	    .waiting = p->waiting,
	    .bytes = p->bytes,
	};
}
