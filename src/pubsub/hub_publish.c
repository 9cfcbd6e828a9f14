#include "config.h"

#include "pubsub/hub.h"

#include <assert.h>
#include <string.h>

#include "pubsub/hub_history.h"
#include "pubsub/hub_queue_state.h"
#include "pubsub/hub_replay_hooks.h"
#include "pubsub/hub_state.h"

/* Publishing: a message is matched, checked against limits, encoded and put into outboxes. */

struct topic *
hub_address(struct hub_delivery *d, size_t i)
{
	struct topic *topic = d->topics[i];

	if (topic->is_pattern) {
		d->message.kind = HUB_PATTERN;
		d->message.pattern = topic_name(topic);
	} else {
		d->message.kind = d->is_shard ? HUB_SHARD : HUB_CHANNEL;
		d->message.pattern = (struct slice){NULL, 0};
	}
	return topic;
}

/* The payload in a form that transforms it; NULL if the form cannot carry it. */
static const struct wire_body *
transformed_body(const struct wire_form *f, struct hub_delivery *d, uint8_t form)
{
	if ((d->measured >> form & 1) == 0) {
		d->measured |= 1U << form;
		if (d->message.payload.len > WIRE_TRANSFORMED_MAX ||
		    !f->measure(&d->message, &d->bodies[form]))
			d->unfit |= 1U << form;
	}
	return (d->unfit >> form & 1) == 0 ? &d->bodies[form] : NULL;
}

/* False if the form cannot carry it. */
static inline bool
make_plan(struct hub *hub, struct hub_delivery *d, uint8_t form, struct hub_plan *plan)
{
	const struct wire_form *f = hub->forms[form];

	d->message.form = f;
	plan->body = f->measure == NULL ? &d->verbatim : transformed_body(f, d, form);
	if (plan->body == NULL)
		return false;
	plan->ends = f->ends(&d->message, plan->body);
	plan->len = plan->ends.head + plan->body->len + plan->ends.tail;
	return plan->len - 1 < WIRE_FRAME_MAX;
}

bool
hub_make_plan(struct hub *hub, struct hub_delivery *d, uint8_t form, struct hub_plan *plan)
{
	return make_plan(hub, d, form, plan);
}

size_t
hub_frame_len(struct hub *hub, struct hub_delivery *d, uint8_t form)
{
	struct hub_plan plan;

	return make_plan(hub, d, form, &plan) ? plan.len : 0;
}

size_t
hub_frame_len_as(struct hub *hub, struct hub_delivery *d, uint8_t form, struct slice name)
{
	struct slice was;
	size_t len;

	if (name.len == 0)
		return hub_frame_len(hub, d, form);
	was = hub_rename(&d->message, name);
	len = hub_frame_len(hub, d, form);
	hub_rename(&d->message, was);
	return len;
}

static void
write_body(
    const struct wire_form *f, const struct hub_message *m, const struct wire_body *body, char *out)
{
	if (f->transform != NULL)
		f->transform(m, body, out);
	else if (m->payload.len > 0)
		memcpy(out, m->payload.ptr, m->payload.len);
}

/* id is the id under which the frame was prepared, or 0. False if the form cannot carry the
 * message. */
static inline __attribute__((always_inline)) bool
encode_here(struct hub *hub, struct hub_delivery *d, uint8_t form, uint32_t tag, uint64_t id,
    struct frame *frame)
{
	const struct wire_form *f = hub->forms[form];
	struct frame_log *log = hub->logs[form];
	struct hub_plan plan;

	if (!make_plan(hub, d, form, &plan))
		return false;
	if (id == 0 || !frame_log_write_prepared(log, id, plan.len, plan.ends.head, tag, frame)) {
		*frame = frame_log_write(log, plan.len, tag);
		write_body(f, &d->message, plan.body, frame->ptr + plan.ends.head);
	}
	f->write_ends(&d->message, plan.body, plan.ends, frame->ptr);
	return true;
}

static bool
encode(struct hub *hub, struct hub_delivery *d, uint8_t form, uint32_t tag, uint64_t id,
    struct frame *frame)
{
	return encode_here(hub, d, form, tag, id, frame);
}

/* For a member of a queue group that gets the message under this name: nobody else gets the frame.
 */
static bool
encode_named(struct hub *hub, struct hub_delivery *d, uint8_t form, uint32_t tag, struct slice name,
    struct frame *frame)
{
	struct slice was = hub_rename(&d->message, name);
	bool is_encoded = encode(hub, d, form, tag, hub_next_named_draft(d), frame);

	hub_rename(&d->message, was);
	return is_encoded;
}

/* A kept message; pattern NULL: by its channel. */
static struct hub_delivery
delivery_of(struct hub *hub, struct slice channel, const struct topic *pattern,
    const struct ring_message *kept)
{
	return (struct hub_delivery){
	    .message = {.kind = pattern != NULL ? HUB_PATTERN : HUB_CHANNEL,
		.pattern = pattern != NULL ? topic_name(pattern) : (struct slice){NULL, 0},
		.channel = channel,
		.payload = kept->payload,
		.position = {history_position(hub_history(hub)).epoch, kept->seq}},
	    .verbatim = {.len = kept->payload.len},
	};
}

bool
hub_encode_kept(struct hub *hub, const struct topic *channel, const struct topic *pattern,
    const struct ring_message *kept, uint8_t form, uint32_t tag, struct frame *frame)
{
	struct hub_delivery d = delivery_of(hub, topic_name(channel), pattern, kept);

	return encode(hub, &d, form, tag, 0, frame);
}

size_t
hub_kept_len(struct hub *hub, struct slice channel, const struct ring_message *kept, uint8_t form)
{
	struct hub_delivery d = delivery_of(hub, channel, NULL, kept);

	return hub_frame_len(hub, &d, form);
}

bool
hub_encode_message(struct hub *hub, const struct hub_message *message, uint8_t form, uint32_t tag,
    struct frame *frame)
{
	struct hub_delivery d = {.message = *message, .verbatim = {.len = message->payload.len}};

	return encode(hub, &d, form, tag, 0, frame);
}

void
hub_overflow(struct subscriber *s)
{
	outbox_seal(&s->outbox);
	hub_stop_awaiting(s); /* publishers to another channel may wait for it */
	s->ops->overflow(s);
}

/*
 * For a subscriber with a replay: whether the member reads the message from the ring later. A live
 * subscription then becomes a replayed one, or the subscriber would get the messages of its
 * channels in another order than that of their positions.
 */
static bool
leave_to_replay(struct hub *hub, const struct hub_delivery *d, struct topic_member *member,
    uint32_t tag, struct hub_outcome *out)
{
	struct subscription *subscription = member->subscription;

	if (d->message.position.seq != 0) {
		hub_replay_keep(hub, d, subscription);
		out->catching_up++;
		return true;
	}
	if (subscription->reader == NULL || hub_replay_unkept(hub, d, subscription))
		return false;
	outbox_refuse(&member->subscriber->outbox, tag);
	return true;
}

/*
 * For a subscriber with a replay: the member does not get the message, because it published it or
 * has another copy. Which copy comes from a ring is decided when it is read: until then the client
 * may unsubscribe from the other name, or want all copies.
 */
static void
pass_over(struct hub *hub, const struct hub_delivery *d, const struct topic_member *member)
{
	struct subscription *subscription = member->subscription;

	if (member->subscriber == d->except) {
		if (subscription->reader != NULL && d->message.position.seq != 0)
			hub_replay_pass_over(hub, d, subscription);
	} else if (d->message.position.seq != 0) {
		hub_replay_keep(hub, d, subscription);
	} else if (subscription->reader != NULL) {
		(void)!hub_replay_unkept(hub, d, subscription);
	}
}

/* Under OUTBOX_CATCH_UP there is no room. What no ring keeps overflows. */
static void
fall_behind(struct hub *hub, const struct hub_delivery *d, struct topic_member *member,
    uint32_t tag, struct hub_outcome *out)
{
	if (hub_replay_fall_behind(hub, d, member->subscription)) {
		out->catching_up++;
		return;
	}
	outbox_refuse(&member->subscriber->outbox, tag);
	hub_overflow(member->subscriber);
}

/* A member of a queue group cannot catch up: it would read the messages of the others, too. */
static enum outbox_policy
queue_policy(const struct hub_delivery *d, const struct subscriber *s)
{
	enum outbox_policy policy = hub_policy_for(d, s);

	return policy == OUTBOX_CATCH_UP ? OUTBOX_DISCONNECT : policy;
}

/* Whether the publisher would have to wait for this member. */
static bool
would_block(const struct hub_delivery *d, const struct subscriber *s, const struct frame *frame)
{
	assert(frame != NULL);
	return hub_policy_for(d, s) == OUTBOX_BLOCK && outbox_would_block(&s->outbox, frame->len);
}

/* One encoding for each wire form in use, then a few words for each member. It is compiled three
 * times, to leave out the tests that a message needs for none of its members: is_plain, all that
 * few messages need; by_channel, for those without policies of channels. What neither concerns is
 * the usual message. */
static inline __attribute__((always_inline)) void
deliver_members(struct hub *hub, struct hub_delivery *d, struct topic *topic, uint64_t id,
    enum hub_limiting limiting, struct hub_outcome *out, const bool is_plain, const bool by_channel)
{
	const bool is_usual = is_plain && !by_channel;
	struct frame frames[HUB_FORMS_MAX], own;
	const struct frame *frame = NULL;
	uint32_t encoded = 0, unfit = 0, bit, tag = topic_tags_of(hub->tags, topic);
	size_t receivers = 0, queued = 0;
	int form = -1; /* the form of `frame`; -1: none, or one that cannot carry the message */

	for (uint32_t i = 0; i < topic->count; i++) {
		struct subscriber *s = topic->members[i].subscriber;
		enum outbox_result result;
		struct hub_taken taken = {0};

		if (!is_plain && s->is_queue && (s = hub_queue_take(hub, d, s, &taken)) == NULL)
			continue;
		if (s->outbox.sealed)
			continue;
		if (!is_plain &&
		    (s == d->except || (d->dedup && taken.id == 0 && hub_has_copy(hub, s)))) {
			if (s->outbox.has_cursor && taken.id == 0)
				pass_over(hub, d, &topic->members[i]);
			continue;
		}
		receivers++;
		if (s->outbox.has_cursor && (is_plain || taken.id == 0) &&
		    leave_to_replay(hub, d, &topic->members[i], tag, out))
			continue;
		if (!is_plain && taken.name.len > 0) {
			form = -1;
			frame = &own;
			if (!encode_named(hub, d, s->outbox.form, tag, taken.name, &own)) {
				outbox_refuse(&s->outbox, tag);
				continue;
			}
		} else if (s->outbox.form != form) {
			form = s->outbox.form;
			frame = &frames[form];
			bit = 1U << form;
			if ((encoded & bit) == 0 &&
			    !(is_usual ? encode_here(hub, d, s->outbox.form, tag, id, &frames[form])
				       : encode(hub, d, s->outbox.form, tag, id, &frames[form])))
				unfit |= bit;
			encoded |= bit;
			if ((unfit & bit) != 0) {
				form = -1;
				outbox_refuse(&s->outbox, tag);
				continue;
			}
		}
		if (!is_plain && limiting == HUB_WITHIN_LIMITS && would_block(d, s, frame)) {
			outbox_refuse(&s->outbox, tag);
			hub_overflow(s);
			continue;
		}
		if (!is_plain && taken.id != 0)
			result =
			    outbox_push_queued(&s->outbox, frame, queue_policy(d, s), taken.id);
		else
			result = by_channel
				     ? outbox_push_under(&s->outbox, frame, hub_policy_for(d, s))
				     : outbox_push_message(&s->outbox, frame);
		if (result == OUTBOX_QUEUED)
			queued++;
		else if (result == OUTBOX_OVERFLOW)
			hub_overflow(s);
		else if (result == OUTBOX_BEHIND)
			fall_behind(hub, d, &topic->members[i], tag, out);
	}
	hub->delivered += queued;
	out->receivers += receivers;
	out->queued += queued;
}

static __attribute__((noinline)) void
deliver_usual(struct hub *hub, struct hub_delivery *d, struct topic *topic, uint64_t id,
    struct hub_outcome *out)
{
	deliver_members(hub, d, topic, id, HUB_IGNORE_LIMITS, out, true, false);
}

static __attribute__((noinline)) void
deliver_unusual(struct hub *hub, struct hub_delivery *d, struct topic *topic, uint64_t id,
    enum hub_limiting limiting, struct hub_outcome *out, bool is_plain)
{
	if (is_plain)
		deliver_members(hub, d, topic, id, limiting, out, true, true);
	else
		deliver_members(hub, d, topic, id, limiting, out, false, d->by_channel);
}

/* id is that of the first topic's frames if the message was prepared, or 0. */
static inline __attribute__((always_inline)) void
deliver(struct hub *hub, struct hub_delivery *d, uint64_t id, enum hub_limiting limiting,
    struct hub_outcome *out)
{
	bool is_plain = !d->dedup && d->except == NULL &&
			(limiting == HUB_IGNORE_LIMITS || !d->may_block) && hub->queue_groups == 0;

	if (!is_plain)
		hub_begin_named_drafts(d, id);
	for (size_t i = 0; i < d->count; i++) {
		struct topic *topic = hub_address(d, i);
		uint64_t of_topic = id > 0 && i < HUB_DRAFTS_MAX ? id + i : 0;

		if (is_plain && !d->by_channel)
			deliver_usual(hub, d, topic, of_topic, out);
		else
			deliver_unusual(hub, d, topic, of_topic, limiting, out, is_plain);
	}
	if (d->dedup)
		hub_end_copies(hub);
}

/* Starts a delivery: finds the topics that the channel matches. Borrows what post borrows. */
static inline void
match(struct hub *hub, const struct hub_post *post, struct hub_delivery *d)
{
	assert(post->kind != HUB_PATTERN);
	d->message.channel = post->channel;
	d->message.payload = post->payload;
	d->message.position = (struct hub_position){0, 0};
	d->message.serial = ++hub->last_serial;
	d->verbatim.len = post->payload.len;
	d->measured = d->unfit = 0;
	d->is_shard = post->kind == HUB_SHARD;
	d->is_kept_nowhere = post->only_patterns;
	d->unheard = NULL;
	d->except = post->except;
	d->seq = post->seq;
	d->may_block = hub->blocking > 0;
	d->by_channel = false;
	d->policy = CHANNEL_POLICY_GLOBAL;
	if (d->is_shard) {
		d->shard = channel_tree_find(hub->shards, false, post->channel);
		d->topics = &d->shard;
		d->count = d->shard != NULL;
	} else {
		d->topics = channel_tree_match(hub->channels, post->channel, &d->count);
	}
	if ((hub->options_in_use & CHANNEL_BIT(outbox_policy)) != 0 && d->count > 0)
		hub_find_policy(hub, d);
	/* A channel, which comes first, may be held without subscribers. */
	if (d->count > 0 &&
	    (d->topics[0]->count == 0 || (post->only_patterns && !d->topics[0]->is_pattern))) {
		d->unheard = d->topics[0];
		d->topics++;
		d->count--;
	}
	d->dedup = hub->dedup.users > 0 && d->count > 1;
}

void
hub_match(struct hub *hub, const struct hub_post *post, struct hub_delivery *d)
{
	match(hub, post, d);
}

/* True for a channel with a topic to which no line applies: the lines are about others. */
static inline bool
has_no_line(const struct hub_delivery *d)
{
	const struct topic *topic = d->unheard;

	if (topic == NULL && d->count > 0)
		topic = d->topics[0];
	return topic != NULL && !topic->is_pattern && topic->class == CHANNEL_CLASS_DEFAULT &&
	       topic->ring == 0;
}

/* Nothing refuses the message any more. now_us 0: the latest time that is known. */
static inline void
keep(struct hub *hub, struct hub_delivery *d, uint64_t now_us)
{
	if ((hub->options_in_use & CHANNEL_BIT(history_size)) == 0 || d->is_shard ||
	    d->is_kept_nowhere || has_no_line(d))
		return;
	hub_set_time(hub, now_us);
	hub_keep(hub, d);
}

/* Limits of the history are applied last: that may remove topics. */
static inline void
end_delivery(struct hub *hub, const struct hub_delivery *d, struct hub_outcome *out)
{
	hub->published++;
	out->position = d->message.position;
	if (d->message.position.seq != 0)
		history_enforce(hub_history(hub));
}

enum hub_result
hub_may_post(struct hub *hub, const struct hub_post *post, uint64_t now_us,
    struct hub_publication *p, size_t *bytes)
{
	struct hub_delivery d;

	if (hub->limits->memory_bytes == 0 && hub->blocking == 0 &&
	    (hub->options_in_use & CHANNEL_BIT(outbox_policy)) == 0)
		return HUB_OK;
	match(hub, post, &d);
	if (hub->limits->memory_bytes > 0) {
		enum hub_result room = hub_check_memory(hub, &d, bytes, &p->bytes);

		if (room != HUB_OK)
			return room;
	}
	return d.may_block && hub_must_wait(hub, &d, now_us, p) ? HUB_BLOCKED : HUB_OK;
}

enum hub_result
hub_post_now(struct hub *hub, const struct hub_post *post, enum hub_limiting limiting,
    struct hub_outcome *out)
{
	struct hub_delivery d;
	size_t wanted;

	*out = (struct hub_outcome){0};
	match(hub, post, &d);
	if (hub->limits->memory_bytes > 0) {
		enum hub_result room = hub_check_memory(hub, &d, NULL, &wanted);

		if (room == HUB_TOO_LARGE || (room == HUB_FULL && limiting == HUB_WITHIN_LIMITS))
			return room;
	}
	keep(hub, &d, 0);
	deliver(hub, &d, 0, limiting, out);
	end_delivery(hub, &d, out);
	return HUB_OK;
}

/* Whether limits.memory_bytes allows the message to be written. */
static enum hub_result
check_memory(struct hub *hub, struct hub_delivery *d, struct hub_publication *p)
{
	if (p->drafts != 0) /* hub_check_memory() was called before it was prepared */
		return p->bytes <= hub->limits->memory_bytes ? HUB_OK : HUB_TOO_LARGE;
	return hub_check_memory(hub, d, NULL, &p->bytes);
}

enum hub_result
hub_post(struct hub *hub, const struct hub_post *post, uint64_t now_us, struct hub_publication *p,
    struct hub_outcome *out)
{
	struct hub_delivery d;
	uint64_t id = 0;

	*out = (struct hub_outcome){0};
	match(hub, post, &d);
	if (p->drafts != 0)
		d.message.serial = p->drafts;
	if (hub->limits->memory_bytes > 0) {
		enum hub_result room = check_memory(hub, &d, p);

		if (room != HUB_OK)
			return room;
	}
	if (d.may_block && hub_must_wait(hub, &d, now_us, p)) {
		hub_drop_drafts(hub, p);
		return HUB_BLOCKED;
	}
	if (d.message.payload.len >= HUB_LARGE_BYTES && hub_is_large(hub, &d)) {
		if (!hub_prepare(hub, &d, now_us, p))
			return HUB_PREPARING;
		id = p->drafts * HUB_DRAFTS_MAX;
	}
	keep(hub, &d, now_us);
	if (d.count > 0)
		deliver(hub, &d, id, HUB_IGNORE_LIMITS, out);
	if (p->drafts != 0) /* some may be unused: a topic may have lost its last member */
		hub_drop_drafts(hub, p);
	if (p->ticket != 0)
		hub_delivered(hub, &d, p);
	end_delivery(hub, &d, out);
	return HUB_OK;
}

enum hub_result
hub_publish(struct hub *hub, enum hub_kind kind, struct slice channel, struct slice payload,
    uint64_t now_us, struct hub_publication *p, size_t *receivers)
{
	struct hub_post post = {.kind = kind, .channel = channel, .payload = payload};
	struct hub_outcome outcome;
	enum hub_result result = hub_post(hub, &post, now_us, p, &outcome);

	*receivers = outcome.receivers;
	return result;
}

enum hub_result
hub_publish_now(struct hub *hub, enum hub_kind kind, struct slice channel, struct slice payload,
    enum hub_limiting limiting, size_t *receivers)
{
	struct hub_post post = {.kind = kind, .channel = channel, .payload = payload};
	struct hub_outcome outcome;
	enum hub_result result = hub_post_now(hub, &post, limiting, &outcome);

	*receivers = outcome.receivers;
	return result;
}
