#include "config.h"

#include "base/buckets_scan.h"
#include "pubsub/channel_tree.h"
#include "pubsub/presence_state.h"

/* All events JOINED and OCCUPIED again, for somebody who has lost what he was told. */

void
presence_retell(struct presence *p)
{
	p->is_retelling = true;
	p->retold_has_name = false;
	p->retold_records = 0;
}

/* Members that were not to be announced have no events yet. */
void
presence_tell_all(struct presence *p)
{
	if (p->tells_all)
		return;
	p->tells_all = true;
	presence_retell(p);
}

bool
presence_is_retelling(const struct presence *p)
{
	return p->is_retelling;
}

static void
retell_record(struct bucket_node *node, void *arg)
{
	struct presence_record *m = (struct presence_record *)node;

	if (m->state != MEMBER_GONE)
		presence_note_stale(arg, m);
}

/* The channel behind p->retold; NULL: none. A name may be empty. */
static struct presence_channel *
next_channel(struct presence *p)
{
	struct slice after = {NULL, 0};
	const struct topic *topic;

	if (p->retold_has_name)
		after = p->retold.len > 0 ? buffer_slice(&p->retold) : SLICE("");
	topic = channel_tree_next(p->names, after);
	if (topic == NULL)
		return NULL;
	buffer_clear(&p->retold);
	buffer_append_slice(&p->retold, topic_name(topic));
	p->retold_has_name = true;
	return presence_find_channel(p, topic_name(topic));
}

/* p->retold_records != 0: some records of the channel p->retold are told, unless it is gone. */
void
presence_walk_to_retell(struct presence *p, size_t *budget)
{
	struct presence_channel *ch;

	for (; p->is_retelling && *budget > 0; --*budget) {
		ch = p->retold_records != 0 ? presence_find_channel(p, buffer_slice(&p->retold))
					    : NULL;
		if (ch == NULL) {
			p->retold_records = 0;
			ch = next_channel(p);
		}
		if (ch == NULL) {
			p->is_retelling = false;
			return;
		}
		p->retold_records = buckets_scan(&ch->records, p->retold_records, retell_record, p);
		if (p->retold_records != 0)
			continue;
		presence_renote_channel(p, ch);
	}
}
