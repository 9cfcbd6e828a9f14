#include "config.h"

#include "base/alloc.h"
#include "core/result.h"
#include "core/state.h"
#include "pubsub/cursor.h"
#include "pubsub/hub_gather.h"
#include "pubsub/hub_latest.h"
#include "pubsub/hub_replay.h"

/* Subscriptions, new ones and those that go on behind a position. */

/* So that publishers may add as many channels while a pattern is replayed. */
#define CHANNELS_MAX (CURSOR_ENTRIES_MAX / 2)
#define GATHERED_A_STEP 1024

/* Checks the arguments and enters the hub: FANFARE_OK, or why not. */
static enum fanfare_result
begin(struct fanfare_subscriber *s, struct fanfare_bytes name, uint64_t now_us)
{
	if (s == NULL || !core_are_bytes(name) || now_us >= CORE_NOW_END)
		return FANFARE_INVALID;
	if (s->is_closing || s->base.outbox.sealed)
		return FANFARE_CLOSED;
	if (name.len > s->hub->limits.name_bytes)
		return FANFARE_NAME_TOO_LONG;
	if (!core_enter(s->hub))
		return FANFARE_BUSY;
	core_set_now(s->hub, now_us);
	return FANFARE_OK;
}

static enum fanfare_result
end(struct fanfare_subscriber *s, enum hub_result result)
{
	core_leave(s->hub);
	return result_of(result);
}

_Static_assert(FANFARE_REPLAYED_MAX == CURSOR_ENTRIES_MAX, "the limit that the header says");

/* Whether the replay of so many further channels leaves a publisher room for one. */
static bool
can_replay(const struct fanfare_subscriber *s, size_t channels)
{
	return hub_replay_entries(&s->base) + channels < CURSOR_ENTRIES_MAX;
}

/* Whether new subscriptions to the channel begin with its latest messages. */
static bool
has_latest(struct fanfare_subscriber *s, struct slice channel)
{
	struct hub *hub = s->hub->hub;

	return (hub_options_in_use(hub) & CHANNEL_BIT(replay)) != 0 &&
	       hub_options_of(hub, channel)->replay > 0 &&
	       !hub_is_subscribed(&s->base, HUB_CHANNEL, channel);
}

static enum fanfare_result
refuse(struct fanfare_subscriber *s)
{
	core_leave(s->hub);
	return FANFARE_TOO_MANY;
}

static enum hub_result
subscribe_latest(struct fanfare_subscriber *s, struct slice channel)
{
	struct hub_latest latest = {.count = 0};
	enum hub_result result = hub_subscribe_latest(&s->base, channel, s->hub->now_us, &latest);

	if (result != HUB_OK)
		return result;
	hub_push_latest(&s->base, &latest, s->hub->now_us);
	hub_start_replay(&s->base);
	return HUB_OK;
}

enum fanfare_result
fanfare_subscribe(struct fanfare_subscriber *s, struct fanfare_bytes channel, uint64_t now_us)
{
	enum fanfare_result ready = begin(s, channel, now_us);
	struct slice name = core_slice(channel);

	if (ready != FANFARE_OK)
		return ready;
	if (!has_latest(s, name))
		return end(s, hub_subscribe(&s->base, HUB_CHANNEL, name));
	return can_replay(s, 1) ? end(s, subscribe_latest(s, name)) : refuse(s);
}

/* A change that needs no time: function is hub_subscribe() or hub_unsubscribe(). */
static enum fanfare_result
change(struct fanfare_subscriber *s, enum hub_kind kind, struct fanfare_bytes name,
    enum hub_result (*function)(struct subscriber *, enum hub_kind, struct slice))
{
	enum fanfare_result ready = begin(s, name, 0);

	return ready == FANFARE_OK ? end(s, function(&s->base, kind, core_slice(name))) : ready;
}

enum fanfare_result
fanfare_unsubscribe(struct fanfare_subscriber *s, struct fanfare_bytes channel)
{
	return change(s, HUB_CHANNEL, channel, hub_unsubscribe);
}

enum fanfare_result
fanfare_psubscribe(struct fanfare_subscriber *s, struct fanfare_bytes pattern)
{
	return change(s, HUB_PATTERN, pattern, hub_subscribe);
}

enum fanfare_result
fanfare_punsubscribe(struct fanfare_subscriber *s, struct fanfare_bytes pattern)
{
	return change(s, HUB_PATTERN, pattern, hub_unsubscribe);
}

enum fanfare_result
fanfare_first_subscription(
    const struct fanfare_subscriber *s, bool is_pattern, struct fanfare_bytes *name)
{
	const struct subscription *first;

	if (s == NULL || name == NULL)
		return FANFARE_INVALID;
	if (s->is_closing)
		return FANFARE_CLOSED;
	first = TAILQ_FIRST(&s->base.subscriptions[is_pattern ? HUB_PATTERN : HUB_CHANNEL]);
	if (first == NULL)
		return FANFARE_EMPTY;
	*name = core_bytes(topic_name(first->topic));
	return FANFARE_OK;
}

size_t
fanfare_subscription_count(const struct fanfare_subscriber *s)
{
	return s != NULL ? (size_t)s->base.count[HUB_CHANNEL] + s->base.count[HUB_PATTERN] : 0;
}

struct fanfare_position
fanfare_queued_position(const struct fanfare_subscriber *s)
{
	struct hub_position position = {0, 0};

	if (s != NULL && !s->is_closing)
		position = hub_queued_position(&s->base);
	return (struct fanfare_position){position.epoch, position.seq};
}

/* What the caller learns. Of a lost position: that of the newest message. */
static void
tell(const struct fanfare_subscriber *s, const struct hub_resumption *judged,
    struct fanfare_resumption *out)
{
	static const enum fanfare_verdict verdicts[HUB_VERDICTS] = {
	    [HUB_RESUMED] = FANFARE_RESUMED,
	    [HUB_LOST] = FANFARE_LOST,
	    [HUB_NEW] = FANFARE_NEW,
	    [HUB_NO_HISTORY] = FANFARE_NO_HISTORY,
	};
	struct hub_position position = judged->position;

	if (out == NULL)
		return;
	*out = (struct fanfare_resumption){.verdict = verdicts[judged->verdict]};
	if (judged->verdict == HUB_LOST)
		position = history_position(hub_history(s->hub->hub));
	else
		out->count = judged->count;
	out->position = (struct fanfare_position){position.epoch, position.seq};
}

static bool
parse_since(struct fanfare_bytes text, struct position_since *since)
{
	return core_are_bytes(text) && position_parse_since(core_slice(text), since);
}

static bool
begins_behind(const struct hub_resumption *resumption)
{
	return resumption->verdict == HUB_RESUMED || resumption->verdict == HUB_NEW;
}

enum fanfare_result
fanfare_resume(struct fanfare_subscriber *s, struct fanfare_bytes channel,
    struct fanfare_bytes text, uint64_t now_us, struct fanfare_resumption *out)
{
	struct position_since since;
	struct hub_resumption resumption;
	enum hub_result result;
	enum fanfare_result ready;
	struct slice name = core_slice(channel);

	if (!parse_since(text, &since))
		return FANFARE_INVALID;
	ready = begin(s, channel, now_us);
	if (ready != FANFARE_OK)
		return ready;
	resumption = hub_judge(&s->base, name, &since, s->hub->now_us);
	if (begins_behind(&resumption) && !can_replay(s, 1))
		return refuse(s);
	if (begins_behind(&resumption))
		result =
		    hub_subscribe_after(&s->base, name, resumption.position.seq, s->hub->now_us);
	else
		result = hub_subscribe(&s->base, HUB_CHANNEL, name);
	if (result == HUB_OK) {
		hub_start_replay(&s->base);
		tell(s, &resumption, out);
	}
	return end(s, result);
}

/* Subscribes to the pattern whose channels were gathered; judges it, too. */
static enum fanfare_result
subscribe_gathered(struct fanfare_subscriber *s, struct slice pattern,
    const struct hub_gather *gather, enum hub_gather_result gathered,
    struct hub_resumption *resumption)
{
	const struct hub_matched *matched;
	struct hub_start start;
	size_t count;

	if (gathered == HUB_GATHER_TOO_MANY)
		return FANFARE_TOO_MANY;
	*resumption = hub_gather_judge(gather, gathered, &start);
	if (!begins_behind(resumption))
		return result_of(hub_subscribe(&s->base, HUB_PATTERN, pattern));
	matched = hub_gather_matched(gather, 0, &count);
	if (!can_replay(s, count))
		return FANFARE_TOO_MANY;
	return result_of(hub_psubscribe_after(&s->base, pattern, start.after_seq, matched, count));
}

/* From a position that is known without a gather. */
static enum fanfare_result
subscribe_judged(
    struct fanfare_subscriber *s, struct slice pattern, const struct hub_resumption *resumption)
{
	if (!begins_behind(resumption))
		return result_of(hub_subscribe(&s->base, HUB_PATTERN, pattern));
	return result_of(
	    hub_psubscribe_after(&s->base, pattern, resumption->position.seq, NULL, 0));
}

static enum fanfare_result
presume(struct fanfare_subscriber *s, struct slice pattern, const struct position_since *since,
    uint32_t channels_max, struct hub_resumption *resumption)
{
	struct hub_gather *gather =
	    hub_gather_since(&s->base, pattern, since, channels_max, resumption);
	enum hub_gather_result gathered = HUB_GATHER_MORE;
	enum fanfare_result result;

	if (gather == NULL)
		return subscribe_judged(s, pattern, resumption);
	while (gathered == HUB_GATHER_MORE)
		gathered = hub_gather_step(gather, s->hub->now_us, GATHERED_A_STEP);
	result = subscribe_gathered(s, pattern, gather, gathered, resumption);
	hub_gather_free(gather);
	return result;
}

enum fanfare_result
fanfare_presume(struct fanfare_subscriber *s, struct fanfare_bytes pattern,
    struct fanfare_bytes text, uint64_t now_us, uint32_t channels_max,
    struct fanfare_resumption *out)
{
	struct position_since since;
	struct hub_resumption resumption;
	enum fanfare_result result;

	if (!parse_since(text, &since))
		return FANFARE_INVALID;
	result = begin(s, pattern, now_us);
	if (result != FANFARE_OK)
		return result;
	if (channels_max == 0 || channels_max > CHANNELS_MAX)
		channels_max = CHANNELS_MAX;
	result = presume(s, core_slice(pattern), &since, channels_max, &resumption);
	if (result == FANFARE_OK) {
		hub_start_replay(&s->base);
		tell(s, &resumption, out);
	}
	core_leave(s->hub);
	return result;
}
