#include "config.h"

#include "core/subscriber.h"

#include "base/alloc.h"
#include "core/options.h"
#include "core/state.h"
#include "pubsub/hub_replay.h"

static struct fanfare_subscriber *
self_of(struct subscriber *base)
{
	return (struct fanfare_subscriber *)(void *)((char *)base -
						     offsetof(struct fanfare_subscriber, base));
}

static void
on_ready(struct subscriber *base)
{
	struct fanfare_subscriber *s = self_of(base);

	if (s->ready != NULL)
		s->ready(s->arg, s);
}

static void
tell_end(struct fanfare_subscriber *s, enum fanfare_end end)
{
	if (s->overflow != NULL && !s->hub->is_ending)
		s->overflow(s->arg, s, end);
}

static void
on_overflow(struct subscriber *base)
{
	tell_end(self_of(base), FANFARE_OVERFLOW);
}

static void
on_overtaken(struct subscriber *base)
{
	tell_end(self_of(base), FANFARE_OVERTAKEN);
}

static void
on_room(struct subscriber *base)
{
	struct fanfare_hub *hub = self_of(base)->hub;

	if (hub->room_asked || hub->is_ending)
		return;
	hub->room_asked = true;
	if (hub->room != NULL)
		hub->room(hub->arg, hub);
}

static const struct subscriber_ops ops = {on_ready, on_overflow, on_room, on_overtaken};

#define POLICIES (FANFARE_CATCH_UP + 1)

/* Checks and converts; NULL: no limits. */
static bool
convert_limits(const struct fanfare_limits *given, struct outbox_limits *out)
{
	struct fanfare_limits limits = {.policy = FANFARE_DISCONNECT};

	_Static_assert(FANFARE_DISCONNECT == (int)OUTBOX_DISCONNECT &&
			   FANFARE_DROP_OLDEST == (int)OUTBOX_DROP_OLDEST &&
			   FANFARE_DROP_NEWEST == (int)OUTBOX_DROP_NEWEST &&
			   FANFARE_BLOCK == (int)OUTBOX_BLOCK &&
			   FANFARE_CATCH_UP == (int)OUTBOX_CATCH_UP && POLICIES == OUTBOX_POLICIES,
	    "policies have the same numbers");
	if (given != NULL && !options_copy(&limits, sizeof(limits), given))
		return false;
	if ((unsigned)limits.policy >= POLICIES)
		return false;
	*out = (struct outbox_limits){
	    .bytes = limits.bytes,
	    .messages = limits.messages,
	    .policy = (enum outbox_policy)limits.policy,
	    .notify = limits.notify,
	    .channel_policies = limits.by_channels ? (1U << POLICIES) - 1 : 0,
	};
	return true;
}

enum fanfare_result
fanfare_subscriber_new(struct fanfare_hub *hub, const struct fanfare_subscriber_options *given,
    struct fanfare_subscriber **out)
{
	struct fanfare_subscriber_options options = {.form = FANFARE_RECORDS};
	struct outbox_limits limits;
	struct fanfare_subscriber *s;

	if (hub == NULL || out == NULL ||
	    (given != NULL && !options_copy(&options, sizeof(options), given)) ||
	    options.form >= hub->form_count || !convert_limits(options.limits, &limits))
		return FANFARE_INVALID;
	if (!core_enter(hub))
		return FANFARE_BUSY;
	s = xmalloc(sizeof(*s));
	hub_attach(hub->hub, &s->base, &ops, &limits, (uint8_t)options.form, NULL);
	hub_set_dedup(&s->base, options.dedup);
	s->hub = hub;
	s->ready = options.ready;
	s->overflow = options.overflow;
	s->arg = options.arg;
	s->in_flight = 0;
	s->is_closing = false;
	LIST_INSERT_HEAD(&hub->subscribers, s, link);
	hub->subscriber_count++;
	core_leave(hub);
	*out = s;
	return FANFARE_OK;
}

static void
forget(struct fanfare_subscriber *s)
{
	s->hub->subscriber_count--;
	LIST_REMOVE(s, link);
	xfree(s);
}

void
subscriber_free(struct fanfare_subscriber *s)
{
	if (s->base.outbox.in_flight > 0)
		outbox_end_write(&s->base.outbox, 0);
	while (!hub_detach(&s->base, SIZE_MAX))
		continue;
	forget(s);
}

enum fanfare_result
fanfare_subscriber_close(struct fanfare_subscriber *s, size_t budget)
{
	struct fanfare_hub *hub;
	bool is_done;

	if (s == NULL)
		return FANFARE_OK;
	if (budget == 0)
		return FANFARE_INVALID;
	hub = s->hub;
	if (!core_enter(hub))
		return FANFARE_BUSY;
	s->is_closing = true;
	core_note_use(hub);
	is_done = hub_detach(&s->base, budget);
	if (is_done)
		forget(s);
	core_leave(hub);
	return is_done ? FANFARE_OK : FANFARE_MORE;
}

void *
fanfare_subscriber_arg(const struct fanfare_subscriber *s)
{
	return s != NULL ? s->arg : NULL;
}

struct fanfare_hub *
fanfare_subscriber_hub(const struct fanfare_subscriber *s)
{
	return s != NULL ? s->hub : NULL;
}

enum fanfare_result
fanfare_subscriber_set_limits(struct fanfare_subscriber *s, const struct fanfare_limits *given)
{
	struct outbox_limits limits;

	if (s == NULL || given == NULL || !convert_limits(given, &limits))
		return FANFARE_INVALID;
	if (s->is_closing)
		return FANFARE_CLOSED;
	if (!core_enter(s->hub))
		return FANFARE_BUSY;
	hub_set_limits(&s->base, &limits);
	core_leave(s->hub);
	return FANFARE_OK;
}

enum fanfare_result
fanfare_subscriber_set_dedup(struct fanfare_subscriber *s, bool dedup)
{
	if (s == NULL)
		return FANFARE_INVALID;
	if (s->is_closing)
		return FANFARE_CLOSED;
	if (!core_enter(s->hub))
		return FANFARE_BUSY;
	hub_set_dedup(&s->base, dedup);
	core_leave(s->hub);
	return FANFARE_OK;
}

enum fanfare_result
fanfare_subscriber_queue(const struct fanfare_subscriber *s, struct fanfare_queue *queue)
{
	struct fanfare_queue all = {.size = sizeof(all)};

	if (s == NULL)
		return FANFARE_INVALID;
	if (s->is_closing)
		return FANFARE_CLOSED;
	all.bytes = s->base.outbox.bytes;
	all.messages = s->base.outbox.messages;
	all.dropped = s->base.outbox.dropped;
	all.behind = hub_replay_progress(&s->base).behind;
	return options_fill(queue, &all, sizeof(all)) ? FANFARE_OK : FANFARE_INVALID;
}
