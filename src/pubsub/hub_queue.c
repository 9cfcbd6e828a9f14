#include "config.h"

#include "pubsub/queue_group.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/hash_map.h"
#include "pubsub/hub_queue_state.h"
#include "pubsub/hub_state.h"
#include "pubsub/queue_name.h"

TAILQ_HEAD(queue_members, queue_member);

/* The memberships of one subscriber. */
struct queue_list {
	struct queue_members members;
	uint32_t count;
	uint32_t named[2]; /* QUEUE_BY_NAME, HUB_CHANNEL and HUB_PATTERN */
};

static void
ignore(struct subscriber *s)
{
	(void)s;
}

/* Nothing is ever queued in the outbox of a group. */
static const struct subscriber_ops group_ops = {ignore, ignore, ignore, ignore};

static struct hub_queues *
queues_of(struct hub *hub)
{
	struct hub_queues *queues = hub->queues;

	if (queues == NULL) {
		queues = hub->queues = xcalloc(1, sizeof(*queues));
		queues->groups = hash_map_new();
		queues->ids = hash_map_new();
		queues->lists = hash_map_new();
		queues->members = hash_map_new();
	}
	return queues;
}

void
hub_queues_release(struct hub *hub)
{
	struct hub_queues *queues = hub->queues;

	if (queues == NULL)
		return;
	assert(hash_map_count(queues->ids) == 0 && hash_map_count(queues->lists) == 0);
	hash_map_free(queues->groups);
	hash_map_free(queues->ids);
	hash_map_free(queues->lists);
	hash_map_free(queues->members);
	buffer_release(&queues->key);
	xfree(queues);
	hub->queues = NULL;
}

static struct slice
group_key(struct hub_queues *queues, struct slice group, enum hub_kind kind, struct slice name)
{
	uint64_t parts[2] = {(uint64_t)kind, group.len};

	buffer_clear(&queues->key);
	buffer_append(&queues->key, parts, sizeof(parts));
	buffer_append_slice(&queues->key, group);
	buffer_append_slice(&queues->key, name);
	return buffer_slice(&queues->key);
}

static struct slice
list_key(struct subscriber *const *s)
{
	return (struct slice){(const char *)s, sizeof(*s)};
}

struct member_key {
	const struct subscriber *subscriber;
	uint64_t id;
};

static struct queue_member *
find_member(struct hub_queues *queues, const struct subscriber *s, uint64_t id)
{
	struct member_key key = {s, id};

	return hash_map_get(queues->members, (struct slice){(const char *)&key, sizeof(key)});
}

static struct queue_list *
list_of(const struct subscriber *s)
{
	union {
		const struct subscriber *borrowed;
		struct subscriber *key;
	} of = {.borrowed = s};

	return s->in_queues ? hash_map_get(s->hub->queues->lists, list_key(&of.key)) : NULL;
}

uint32_t
hub_queues_of(const struct subscriber *s)
{
	const struct queue_list *list = list_of(s);

	return list != NULL ? list->count : 0;
}

uint32_t
hub_named_queues_of(const struct subscriber *s, enum hub_kind kind)
{
	const struct queue_list *list = list_of(s);

	return list != NULL && kind != HUB_SHARD ? list->named[kind] : 0;
}

const struct queue_member *
hub_first_queue(const struct subscriber *s)
{
	const struct queue_list *list = list_of(s);

	return list != NULL ? TAILQ_FIRST(&list->members) : NULL;
}

void
hub_rotate_queues(struct subscriber *s)
{
	struct queue_list *list = list_of(s);
	struct queue_member *first;

	if (list == NULL)
		return;
	first = TAILQ_FIRST(&list->members);
	TAILQ_REMOVE(&list->members, first, of_subscriber);
	TAILQ_INSERT_TAIL(&list->members, first, of_subscriber);
}

struct slice
queue_member_group(const struct queue_member *member)
{
	return member->group->group;
}

struct slice
queue_member_name(const struct queue_member *member)
{
	return member->group->name;
}

enum hub_kind
queue_member_kind(const struct queue_member *member)
{
	return member->group->kind;
}

enum queue_style
queue_member_style(const struct queue_member *member)
{
	return member->style;
}

struct slice
queue_member_queue_name(const struct queue_member *member)
{
	return member->group->queue_name;
}

static struct queue_group *
find_group(struct hub *hub, struct slice group, enum hub_kind kind, struct slice name)
{
	struct hub_queues *queues = hub->queues;

	return queues != NULL ? hash_map_get(queues->groups, group_key(queues, group, kind, name))
			      : NULL;
}

uint32_t
hub_queue_members(struct hub *hub, struct slice group, enum hub_kind kind, struct slice name)
{
	const struct queue_group *g = find_group(hub, group, kind, name);

	return g != NULL ? g->count : 0;
}

const struct queue_member *
hub_find_queue(struct subscriber *s, struct slice group, enum hub_kind kind, struct slice name)
{
	const struct queue_group *g = find_group(s->hub, group, kind, name);

	return g != NULL ? find_member(s->hub->queues, s, g->id) : NULL;
}

/* Writes the text of the group: its queue name, of which the group's name is a part. */
static void
write_names(struct queue_group *g, struct slice group, struct slice name)
{
	size_t prefix = sizeof(QUEUE_NAME_PREFIX) - 1;

	memcpy(g->text, QUEUE_NAME_PREFIX, prefix);
	if (group.len > 0)
		memcpy(g->text + prefix, group.ptr, group.len);
	g->text[prefix + group.len] = '/';
	if (name.len > 0)
		memcpy(g->text + prefix + group.len + 1, name.ptr, name.len);
	g->group = (struct slice){g->text + prefix, group.len};
	g->queue_name = (struct slice){g->text, prefix + group.len + 1 + name.len};
}

/* Frees a group without members; it is subscribed or not. */
static void
free_group(struct hub *hub, struct queue_group *g)
{
	bool done = hub_detach(&g->subscriber, SIZE_MAX);

	assert(done && hub->queues != NULL);
	xfree(g->members);
	xfree(g);
}

/* NULL: *result says why. */
static struct queue_group *
add_group(struct hub *hub, struct slice group, enum hub_kind kind, struct slice name,
    enum hub_result *result)
{
	static const struct outbox_limits limits = {.policy = OUTBOX_DROP_NEWEST};
	struct hub_queues *queues = queues_of(hub);
	struct queue_group *g =
	    xcalloc(1, sizeof(*g) + sizeof(QUEUE_NAME_PREFIX) + group.len + name.len);

	hub_attach(hub, &g->subscriber, &group_ops, &limits, 0, NULL);
	g->subscriber.is_queue = true;
	g->kind = kind;
	write_names(g, group, name);
	*result = hub_subscribe(&g->subscriber, kind, name);
	if (*result != HUB_OK) {
		free_group(hub, g);
		return NULL;
	}
	g->name = topic_name(hub_first_subscription(&g->subscriber, kind)->topic);
	g->id = ++queues->last_id;
	hub->queue_groups++;
	hash_map_set(queues->groups, group_key(queues, group, kind, name), g);
	hash_map_set(queues->ids, hub_queue_id_key(&g->id), g);
	return g;
}

static void
remove_group(struct hub *hub, struct queue_group *g)
{
	struct hub_queues *queues = hub->queues;

	hash_map_remove(queues->groups, group_key(queues, g->group, g->kind, g->name));
	hash_map_remove(queues->ids, hub_queue_id_key(&g->id));
	hub->queue_groups--;
	free_group(hub, g);
}

static void
set_style(struct queue_list *list, struct queue_member *member, enum queue_style style)
{
	struct queue_group *g = member->group;

	assert(list != NULL);
	list->named[g->kind] -= member->style == QUEUE_BY_NAME;
	list->named[g->kind] += style == QUEUE_BY_NAME;
	member->style = style;
	if (style == QUEUE_BY_NAME)
		g->had_names = true;
}

static void
add_member(
    struct hub_queues *queues, struct queue_group *g, struct subscriber *s, enum queue_style style)
{
	struct queue_member *member = xmalloc(sizeof(*member));
	struct queue_list *list = list_of(s);
	struct member_key key = {s, g->id};

	if (list == NULL) {
		list = xcalloc(1, sizeof(*list));
		TAILQ_INIT(&list->members);
		hash_map_set(queues->lists, list_key(&s), list);
		s->in_queues = true;
	}
	if (g->count == g->cap) {
		g->cap = g->cap > 0 ? g->cap * 2 : 4;
		g->members = xrealloc(g->members, g->cap * sizeof(*g->members));
	}
	*member = (struct queue_member){
	    .group = g, .subscriber = s, .index = g->count, .style = QUEUE_BY_COMMAND};
	set_style(list, member, style);
	g->members[g->count++] = member;
	TAILQ_INSERT_TAIL(&list->members, member, of_subscriber);
	list->count++;
	hash_map_set(queues->members, (struct slice){(const char *)&key, sizeof(key)}, member);
	hub_count_blocking(s);
	hub_queue_changed(s->hub, g);
}

enum hub_result
hub_join_queue(struct subscriber *s, enum queue_style style, struct slice group, enum hub_kind kind,
    struct slice name)
{
	struct hub *hub = s->hub;
	const struct hub_limits *limits = hub->limits;
	struct hub_queues *queues = queues_of(hub);
	enum hub_result result = HUB_OK;
	struct queue_member *member;
	struct queue_group *g;

	assert(kind != HUB_SHARD);
	if (name.len > limits->name_bytes || group.len > limits->name_bytes)
		return HUB_NAME_TOO_LONG;
	g = find_group(hub, group, kind, name);
	member = g != NULL ? find_member(queues, s, g->id) : NULL;
	if (member != NULL) {
		set_style(list_of(s), member, style);
		return HUB_ALREADY;
	}
	if (hub_subscription_count(s) >= limits->subscriptions)
		return HUB_TOO_MANY_SUBSCRIPTIONS;
	if (g != NULL && g->count >= limits->subscribers)
		return HUB_TOO_MANY_SUBSCRIBERS;
	if (g == NULL)
		g = add_group(hub, group, kind, name, &result);
	if (g != NULL)
		add_member(queues, g, s, style);
	return result;
}

static void
remove_member(struct hub *hub, struct queue_member *member)
{
	struct queue_group *g = member->group;
	struct subscriber *s = member->subscriber;
	struct queue_list *list = list_of(s);
	struct member_key key = {s, g->id};

	set_style(list, member, QUEUE_BY_COMMAND);
	g->members[member->index] = g->members[--g->count];
	g->members[member->index]->index = member->index;
	hash_map_remove(hub->queues->members, (struct slice){(const char *)&key, sizeof(key)});
	TAILQ_REMOVE(&list->members, member, of_subscriber);
	if (--list->count == 0) {
		hash_map_remove(hub->queues->lists, list_key(&s));
		xfree(list);
		s->in_queues = false;
	}
	xfree(member);
	hub_queue_changed(hub, g);
	if (g->count == 0)
		remove_group(hub, g);
	hub_count_blocking(s);
	hub_recheck(s);
}

enum hub_result
hub_leave_queue(struct subscriber *s, struct slice group, enum hub_kind kind, struct slice name)
{
	struct queue_group *g = find_group(s->hub, group, kind, name);
	struct queue_member *member = g != NULL ? find_member(s->hub->queues, s, g->id) : NULL;

	if (member == NULL)
		return HUB_NOT_SUBSCRIBED;
	remove_member(s->hub, member);
	return HUB_OK;
}

bool
hub_leave_queues(struct subscriber *s, size_t *budget)
{
	struct queue_list *list;

	while ((list = list_of(s)) != NULL) {
		if (*budget == 0)
			return false;
		--*budget;
		remove_member(s->hub, TAILQ_FIRST(&list->members));
	}
	return true;
}
