#include "config.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/siphash.h"
#include "pubsub/channel_tree.h"
#include "pubsub/presence_state.h"

/* The records of channels, members and joins: their memory, and the tables that find them. */

/* A record's share of the buckets of its table, which are between half full and full. */
#define BUCKET_BYTES (2 * sizeof(void *))

/* A member's share of the time queue. */
#define QUEUE_BYTES sizeof(struct time_queue_entry)

static uint64_t
hash_bytes(struct slice bytes)
{
	return siphash(siphash_process_key(), bytes.ptr, bytes.len);
}

struct slice
presence_channel_name(const struct presence_channel *ch)
{
	return topic_name(ch->topic);
}

struct slice
presence_record_name(const struct presence_record *m)
{
	return (struct slice){m->name, m->name_len};
}

static uint64_t
hash_channel(const struct bucket_node *node)
{
	return hash_bytes(presence_channel_name((const struct presence_channel *)node));
}

static uint64_t
hash_record(const struct bucket_node *node)
{
	return hash_bytes(presence_record_name((const struct presence_record *)node));
}

static uint64_t
hash_pair(const struct presence_owner *owner, const struct presence_record *m)
{
	const void *pair[2] = {owner, m};

	return hash_bytes((struct slice){(const char *)pair, sizeof(pair)});
}

static uint64_t
hash_join(const struct bucket_node *node)
{
	const struct presence_join *join = (const struct presence_join *)node;

	return hash_pair(join->owner, join->member);
}

static const struct buckets_ops channel_ops = {hash_channel, xcalloc, xfree};
static const struct buckets_ops record_ops = {hash_record, xcalloc, xfree};
static const struct buckets_ops join_ops = {hash_join, xcalloc, xfree};

/* Takes out a node that is in the table. */
static inline void
take_out(struct buckets *b, struct bucket_node *node, const struct buckets_ops *ops)
{
	struct bucket_node **link = buckets_chain(b, ops->hash(node));

	while (link != NULL && *link != NULL && *link != node)
		link = &(*link)->next;
	assert(link != NULL && *link != NULL);
	(void)buckets_unlink(b, link);
	if (b->count > 0)
		buckets_keep_size(b, ops);
	else
		buckets_release(b, ops);
}

static struct bucket_node *
first_of_chain(const struct buckets *b, uint64_t hash)
{
	struct bucket_node **link = b->count > 0 ? buckets_chain(b, hash) : NULL;

	return link != NULL ? *link : NULL;
}

/* The topic takes a node of the tree, about as large as itself. */
size_t
presence_channel_bytes(struct slice name)
{
	return sizeof(struct presence_channel) + 2 * sizeof(struct topic) + 2 * name.len +
	       BUCKET_BYTES;
}

size_t
presence_record_bytes(struct slice name)
{
	return sizeof(struct presence_record) + name.len + BUCKET_BYTES + QUEUE_BYTES;
}

size_t
presence_join_bytes(void)
{
	return sizeof(struct presence_join) + BUCKET_BYTES;
}

struct presence_channel *
presence_find_channel(const struct presence *p, struct slice name)
{
	struct bucket_node *node;

	if (name.len > PRESENCE_CHANNEL_MAX)
		return NULL;
	node = first_of_chain(&p->channels, hash_bytes(name));
	for (; node != NULL; node = node->next) {
		struct presence_channel *ch = (struct presence_channel *)node;

		if (slice_eq(presence_channel_name(ch), name))
			return ch;
	}
	return NULL;
}

struct presence_channel *
presence_add_channel(struct presence *p, struct slice name, const struct presence_options *options)
{
	struct presence_channel *ch = xcalloc(1, sizeof(*ch));

	ch->topic = channel_tree_add(p->names, false, name);
	ch->notice.of_channel = true;
	ch->options = *options;
	ch->options_version = p->options_version;
	LIST_INIT(&ch->present);
	buckets_add(&p->channels, &ch->node, hash_channel(&ch->node), &channel_ops);
	p->bytes += presence_channel_bytes(name);
	return ch;
}

void
presence_free_channel(struct presence *p, struct presence_channel *ch)
{
	assert(ch->records.count == 0 && !ch->notice.is_queued);
	p->bytes -= presence_channel_bytes(presence_channel_name(ch));
	take_out(&p->channels, &ch->node, &channel_ops);
	channel_tree_remove(p->names, ch->topic);
	xfree(ch);
}

struct presence_record *
presence_find_record(const struct presence_channel *ch, struct slice name)
{
	struct bucket_node *node;

	if (name.len > PRESENCE_MEMBER_MAX)
		return NULL;
	node = first_of_chain(&ch->records, hash_bytes(name));
	for (; node != NULL; node = node->next) {
		struct presence_record *m = (struct presence_record *)node;

		if (slice_eq(presence_record_name(m), name))
			return m;
	}
	return NULL;
}

struct presence_record *
presence_add_record(struct presence *p, struct presence_channel *ch, struct slice name)
{
	struct presence_record *m = xcalloc(1, sizeof(*m) + name.len);

	assert(name.len > 0 && name.len <= PRESENCE_MEMBER_MAX);
	m->channel = ch;
	m->name_len = (uint8_t)name.len;
	memcpy(m->name, name.ptr, name.len);
	LIST_INIT(&m->joins);
	buckets_add(&ch->records, &m->node, hash_record(&m->node), &record_ops);
	p->bytes += presence_record_bytes(name);
	return m;
}

static size_t
release_record(struct presence *p, struct presence_record *m)
{
	assert(LIST_EMPTY(&m->joins));
	p->bytes -= presence_record_bytes(presence_record_name(m)) + m->info_len;
	xfree(m->info);
	xfree(m);
	return 1;
}

void
presence_free_record(struct presence *p, struct presence_record *m)
{
	assert(m->state == MEMBER_GONE && !m->notice.is_queued);
	take_out(&m->channel->records, &m->node, &record_ops);
	(void)release_record(p, m);
}

void
presence_set_info(struct presence *p, struct presence_record *m, struct slice info)
{
	assert(info.len <= PRESENCE_INFO_MAX);
	p->bytes -= m->info_len;
	xfree(m->info);
	m->info = info.len > 0 ? xmemdup(info.ptr, info.len) : NULL;
	m->info_len = (uint32_t)info.len;
	p->bytes += m->info_len;
}

struct presence_join *
presence_find_join(
    const struct presence *p, const struct presence_owner *owner, const struct presence_record *m)
{
	struct bucket_node *node = first_of_chain(&p->joins, hash_pair(owner, m));

	for (; node != NULL; node = node->next) {
		struct presence_join *join = (struct presence_join *)node;

		if (join->owner == owner && join->member == m)
			return join;
	}
	return NULL;
}

void
presence_add_join(struct presence *p, struct presence_owner *owner, struct presence_record *m)
{
	struct presence_join *join = xcalloc(1, sizeof(*join));

	join->owner = owner;
	join->member = m;
	TAILQ_INSERT_TAIL(&owner->joins, join, of_owner);
	owner->count++;
	LIST_INSERT_HEAD(&m->joins, join, of_member);
	m->connections++;
	buckets_add(&p->joins, &join->node, hash_join(&join->node), &join_ops);
	p->bytes += presence_join_bytes();
}

void
presence_free_join(struct presence *p, struct presence_join *join)
{
	take_out(&p->joins, &join->node, &join_ops);
	TAILQ_REMOVE(&join->owner->joins, join, of_owner);
	join->owner->count--;
	LIST_REMOVE(join, of_member);
	join->member->connections--;
	p->bytes -= presence_join_bytes();
	xfree(join);
}

static size_t
drop_record(struct bucket_node *node, void *arg)
{
	return release_record(arg, (struct presence_record *)node);
}

static size_t
drop_channel(struct bucket_node *node, void *arg)
{
	struct presence *p = arg;
	struct presence_channel *ch = (struct presence_channel *)node;
	size_t budget = SIZE_MAX;

	if (!buckets_drain(&ch->records, &record_ops, drop_record, p, &budget))
		assert(!"a channel has fewer members than the budget");
	p->bytes -= presence_channel_bytes(presence_channel_name(ch));
	xfree(ch);
	return 1;
}

void
presence_free_records(struct presence *p)
{
	size_t budget = SIZE_MAX;

	assert(p->joins.count == 0);
	if (!buckets_drain(&p->channels, &channel_ops, drop_channel, p, &budget))
		assert(!"there are fewer channels than the budget");
	assert(p->bytes == 0);
}

const struct presence_options *
presence_channel_options(const struct presence *p, struct presence_channel *ch)
{
	if (ch->options_version != p->options_version) {
		p->config.options(p->config.arg, presence_channel_name(ch), &ch->options);
		ch->options_version = p->options_version;
	}
	return &ch->options;
}
