#include "config.h"

#include "pubsub/queue_group.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/hash_map.h"
#include "pubsub/hub_queue_state.h"
#include "pubsub/hub_state.h"

struct queue_member {
	struct queue_group *group;
	struct subscriber *subscriber;
	uint32_t index; /* among the members of the group */
	TAILQ_ENTRY(queue_member) of_subscriber;
};

TAILQ_HEAD(queue_members, queue_member);

/* A group: its subscriber is a member of the topic and stands for all members of the group. */
struct queue_group {
	struct subscriber subscriber; /* first; its outbox is not used */
	uint64_t id;                  /* never used again */
	struct queue_member **members;
	uint32_t count, cap;
	uint32_t next; /* whose turn it is, modulo count */
	enum hub_kind kind;
	struct slice name; /* the topic's */
	size_t group_len;
	char group[];
};

/* The memberships of one subscriber. */
struct queue_list {
	struct queue_members members;
	uint32_t count;
};

/* Allocated with the first group. */
struct hub_queues {
	struct hash_map *groups;  /* kind, length of the group's name, both names -> group */
	struct hash_map *ids;     /* id -> group */
	struct hash_map *lists;   /* subscriber -> list */
	struct hash_map *members; /* subscriber and id -> member */
	uint64_t last_id;
	struct buffer key;
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
id_key(const uint64_t *id)
{
	return (struct slice){(const char *)id, sizeof(*id)};
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
	return (struct slice){member->group->group, member->group->group_len};
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
	struct queue_group *g = xcalloc(1, sizeof(*g) + group.len);

	hub_attach(hub, &g->subscriber, &group_ops, &limits, 0, NULL);
	g->subscriber.is_queue = true;
	g->kind = kind;
	g->group_len = group.len;
	if (group.len > 0)
		memcpy(g->group, group.ptr, group.len);
	*result = hub_subscribe(&g->subscriber, kind, name);
	if (*result != HUB_OK) {
		free_group(hub, g);
		return NULL;
	}
	g->name = topic_name(hub_first_subscription(&g->subscriber, kind)->topic);
	g->id = ++queues->last_id;
	hub->queue_groups++;
	hash_map_set(queues->groups, group_key(queues, group, kind, name), g);
	hash_map_set(queues->ids, id_key(&g->id), g);
	return g;
}

static void
remove_group(struct hub *hub, struct queue_group *g)
{
	struct hub_queues *queues = hub->queues;

	hash_map_remove(queues->groups,
	    group_key(queues, (struct slice){g->group, g->group_len}, g->kind, g->name));
	hash_map_remove(queues->ids, id_key(&g->id));
	hub->queue_groups--;
	free_group(hub, g);
}

static void
add_member(struct hub_queues *queues, struct queue_group *g, struct subscriber *s)
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
	*member = (struct queue_member){.group = g, .subscriber = s, .index = g->count};
	g->members[g->count++] = member;
	TAILQ_INSERT_TAIL(&list->members, member, of_subscriber);
	list->count++;
	hash_map_set(queues->members, (struct slice){(const char *)&key, sizeof(key)}, member);
	hub_count_blocking(s);
}

enum hub_result
hub_join_queue(struct subscriber *s, struct slice group, enum hub_kind kind, struct slice name)
{
	struct hub *hub = s->hub;
	const struct hub_limits *limits = hub->limits;
	struct hub_queues *queues = queues_of(hub);
	enum hub_result result = HUB_OK;
	struct queue_group *g;

	assert(kind != HUB_SHARD);
	if (name.len > limits->name_bytes || group.len > limits->name_bytes)
		return HUB_NAME_TOO_LONG;
	g = hash_map_get(queues->groups, group_key(queues, group, kind, name));
	if (g != NULL && find_member(queues, s, g->id) != NULL)
		return HUB_ALREADY;
	if (hub_subscription_count(s) >= limits->subscriptions)
		return HUB_TOO_MANY_SUBSCRIPTIONS;
	if (g != NULL && g->count >= limits->subscribers)
		return HUB_TOO_MANY_SUBSCRIBERS;
	if (g == NULL)
		g = add_group(hub, group, kind, name, &result);
	if (g != NULL)
		add_member(queues, g, s);
	return result;
}

static void
remove_member(struct hub *hub, struct queue_member *member)
{
	struct queue_group *g = member->group;
	struct subscriber *s = member->subscriber;
	struct queue_list *list = list_of(s);
	struct member_key key = {s, g->id};

	assert(list != NULL);
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
	if (g->count == 0)
		remove_group(hub, g);
	hub_count_blocking(s);
	hub_recheck(s);
}

enum hub_result
hub_leave_queue(struct subscriber *s, struct slice group, enum hub_kind kind, struct slice name)
{
	struct hub_queues *queues = queues_of(s->hub);
	struct queue_group *g = hash_map_get(queues->groups, group_key(queues, group, kind, name));
	struct queue_member *member = g != NULL ? find_member(queues, s, g->id) : NULL;

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

static struct queue_group *
group_of(struct subscriber *s)
{
	assert(s->is_queue);
	return (struct queue_group *)s;
}

/* The i-th member from the one whose turn it is. */
static struct queue_member *
in_turn(const struct queue_group *g, uint32_t i)
{
	return g->members[(uint32_t)(((uint64_t)g->next + i) % g->count)];
}

/* NULL: nobody may get it. Otherwise *has_room says whether the member has room for it. */
static struct queue_member *
pick(struct hub *hub, struct hub_delivery *d, const struct queue_group *g, bool *has_room)
{
	struct queue_member *first = NULL;

	*has_room = false;
	for (uint32_t i = 0; i < g->count && !*has_room; i++) {
		struct queue_member *member = in_turn(g, i);
		struct subscriber *s = member->subscriber;

		if (s->outbox.sealed || s == d->except)
			continue;
		*has_room = outbox_has_room(&s->outbox, hub_frame_len(hub, d, s->outbox.form));
		if (*has_room || first == NULL)
			first = member;
	}
	return first;
}

struct subscriber *
hub_queue_take(struct hub *hub, struct hub_delivery *d, struct subscriber *queue, uint64_t *id)
{
	struct queue_group *g = group_of(queue);
	bool has_room;
	struct queue_member *member = pick(hub, d, g, &has_room);

	if (member == NULL)
		return NULL;
	*id = g->id;
	g->next = member->index + 1;
	return member->subscriber;
}

uint8_t
hub_queue_form(const struct subscriber *queue)
{
	const struct queue_group *g = (const struct queue_group *)queue;

	return in_turn(g, 0)->subscriber->outbox.form;
}

bool
hub_queue_must_wait(
    struct hub *hub, struct hub_delivery *d, struct subscriber *queue, struct hub_publication *p)
{
	struct queue_group *g = group_of(queue);
	bool has_room, waits = false;
	struct queue_member *member = pick(hub, d, g, &has_room);

	if (member == NULL || !hub_blocks(d, member->subscriber))
		return false;
	if (has_room)
		return hub_waits_for(hub, d, member->subscriber, p);
	for (uint32_t i = 0; i < g->count; i++) {
		struct subscriber *s = g->members[i]->subscriber;

		if (s != d->except && hub_blocks(d, s) && hub_waits_for(hub, d, s, p))
			waits = true;
	}
	return waits;
}

void
hub_queue_delivered(struct subscriber *queue, uint64_t ticket)
{
	struct queue_group *g = group_of(queue);

	for (uint32_t i = 0; i < g->count; i++) {
		struct subscriber *s = g->members[i]->subscriber;

		if (s->wait != NULL && s->wait->ticket == ticket)
			hub_stop_awaiting(s);
	}
}

/* Queues the message in the form of the member. False: that form cannot carry it. */
static bool
give(struct hub *hub, struct queue_group *g, struct subscriber *s, uint8_t form,
    const struct frame_range *range)
{
	struct topic *topic = hub_first_subscription(&g->subscriber, g->kind)->topic;
	uint8_t to = s->outbox.form;
	struct frame_range translated;
	struct hub_message message;
	struct frame frame;

	if (form == to) {
		outbox_adopt(&s->outbox, range, g->id);
		return true;
	}
	if (hub->forms[form]->read == NULL ||
	    !hub->forms[form]->read(frame_range_ptr(range), range->len, &message) ||
	    !hub_encode_message(hub, &message, to, topic_tags_of(hub->tags, topic), &frame))
		return false;
	frame_range_init(&translated, &frame);
	outbox_adopt(&s->outbox, &translated, g->id);
	frame_range_release(&translated);
	return true;
}

bool
hub_queue_hand_over(struct hub *hub, uint64_t id, uint8_t form, const struct frame_range *range)
{
	struct queue_group *g =
	    hub->queues != NULL ? hash_map_get(hub->queues->ids, id_key(&id)) : NULL;
	struct queue_member *first = NULL;
	bool has_room = false;

	for (uint32_t i = 0; g != NULL && i < g->count && !has_room; i++) {
		struct queue_member *member = in_turn(g, i);
		struct outbox *outbox = &member->subscriber->outbox;

		if (outbox->sealed)
			continue;
		has_room = outbox_has_room(outbox, range->len);
		if (has_room || first == NULL)
			first = member;
	}
	if (first == NULL)
		return false;
	g->next = first->index + 1;
	return give(hub, g, first->subscriber, form, range);
}
