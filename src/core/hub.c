#include "config.h"

#include <string.h>

#include "base/alloc.h"
#include "core/options.h"
#include "core/setup.h"
#include "core/state.h"
#include "core/subscriber.h"
#include "pubsub/hub_replay.h"

#define COUNT_MAX INT32_MAX
#define DEFAULT_COUNT 1000000
#define DEFAULT_SEGMENT 65536
#define DEFAULT_MESSAGE ((size_t)1 << 26)
#define MESSAGE_MAX ((size_t)1 << 29)

/* What a call of fanfare_hub_work() does of each kind: about a millisecond in all. */
#define PORTIONS_A_CALL 8
#define RECLASSIFIED_A_CALL 1000
#define REMOVED_A_CALL 1000

/* How often it looks for publishers that have waited too long, and whether there is room for a
 * replay that memory_max holds up. */
#define LOOK_US 10000

/* How often it looks for room that is reserved for one of several publishers that wait. */
#define LOOK_RESERVED_US 1000000

static void
interest_changed(
    struct hub_interest *interest, enum hub_kind kind, struct slice name, bool is_wanted)
{
	struct fanfare_hub *hub =
	    (struct fanfare_hub *)(void *)((char *)interest -
					   offsetof(struct fanfare_hub, interest));

	if (!hub->is_ending)
		hub->wanted(hub->arg, hub, kind == HUB_PATTERN, core_bytes(name), is_wanted);
}

/* One limit of 32 bits. */
static bool
set_limit(uint32_t *to, uint32_t given, size_t most, size_t initial)
{
	size_t value = given;
	bool ok = options_limit(&value, 1, most, initial);

	*to = (uint32_t)value;
	return ok;
}

static bool
set_limits(struct fanfare_hub *hub, const struct fanfare_hub_options *options, size_t *segment)
{
	*segment = options->segment;
	hub->message_max = options->message_max;
	hub->limits.memory_bytes = options->memory_max;
	hub->history.memory_bytes = options->history_max;
	hub->block_us = options->block_us > 0 ? options->block_us : UINT64_MAX;
	return set_limit(&hub->limits.subscriptions, options->subscriptions_max, COUNT_MAX,
		   DEFAULT_COUNT) &&
	       set_limit(
		   &hub->limits.subscribers, options->subscribers_max, COUNT_MAX, DEFAULT_COUNT) &&
	       set_limit(&hub->limits.name_bytes, options->name_max, UINT16_MAX, UINT16_MAX) &&
	       set_limit(&hub->history.channels, options->kept_max, COUNT_MAX, DEFAULT_COUNT) &&
	       options_limit(segment, 4096, (size_t)1 << 24, DEFAULT_SEGMENT) &&
	       options_limit(&hub->message_max, 1, MESSAGE_MAX, DEFAULT_MESSAGE) &&
	       options->reserved == 0;
}

enum fanfare_result
fanfare_hub_new(const struct fanfare_hub_options *given, struct fanfare_hub **out)
{
	struct fanfare_hub_options options = {.size = sizeof(options)};
	struct fanfare_hub *hub, checked = {.room = NULL};
	struct hub_config config = {.forms = &record_form, .form_count = 1};

	if (out == NULL || (given != NULL && !options_copy(&options, sizeof(options), given)) ||
	    !set_limits(&checked, &options, &config.segment_bytes))
		return FANFARE_INVALID;
	setup_is_used();
	hub = xmalloc(sizeof(*hub));
	*hub = checked;
	config.limits = &hub->limits;
	config.history = &hub->history;
	config.epoch = options.epoch > 0 ? options.epoch : 1;
	hub->hub = hub_new(&config);
	hub->form_count = 1;
	hub->room = options.room;
	hub->wanted = options.interest;
	hub->arg = options.arg;
	LIST_INIT(&hub->subscribers);
	LIST_INIT(&hub->publishers);
	hub->interest.changed = interest_changed;
	if (hub->wanted != NULL)
		hub_add_interest(hub->hub, &hub->interest);
	*out = hub;
	return FANFARE_OK;
}

enum fanfare_result
fanfare_hub_free(struct fanfare_hub *hub)
{
	struct fanfare_publisher *publisher;

	if (hub == NULL)
		return FANFARE_OK;
	if (!core_enter(hub))
		return FANFARE_BUSY;
	hub->is_ending = true;
	record_release(&hub->reader);
	while ((publisher = LIST_FIRST(&hub->publishers)) != NULL) {
		hub_end_publication(hub->hub, &publisher->publication);
		LIST_REMOVE(publisher, link);
		xfree(publisher);
	}
	while (!LIST_EMPTY(&hub->subscribers))
		subscriber_free(LIST_FIRST(&hub->subscribers));
	hub_free(hub->hub);
	for (unsigned i = 1; i < hub->form_count; i++)
		xfree(hub->forms[i]);
	xfree(hub);
	return FANFARE_OK;
}

void *
fanfare_hub_arg(const struct fanfare_hub *hub)
{
	return hub != NULL ? hub->arg : NULL;
}

enum fanfare_result
fanfare_hub_set_memory(struct fanfare_hub *hub, size_t memory_max, size_t history_max)
{
	if (hub == NULL)
		return FANFARE_INVALID;
	if (!core_enter(hub))
		return FANFARE_BUSY;
	hub->limits.memory_bytes = memory_max;
	hub->history.memory_bytes = history_max;
	core_leave(hub);
	return FANFARE_OK;
}

enum fanfare_result
fanfare_hub_set_block(struct fanfare_hub *hub, uint64_t block_us)
{
	if (hub == NULL)
		return FANFARE_INVALID;
	if (!core_enter(hub))
		return FANFARE_BUSY;
	hub->block_us = block_us > 0 ? block_us : UINT64_MAX;
	core_leave(hub);
	return FANFARE_OK;
}

static void
set_earlier(uint64_t *next_us, uint64_t at_us)
{
	if (at_us < *next_us)
		*next_us = at_us;
}

/* True if more is to be done at once. */
static bool
replay(struct fanfare_hub *hub, uint64_t *next_us)
{
	enum hub_replay_result result = HUB_REPLAY_MORE;

	for (int i = 0; i < PORTIONS_A_CALL && result == HUB_REPLAY_MORE; i++)
		result = hub_replay(hub->hub, hub->now_us);
	if (result == HUB_REPLAY_FULL)
		set_earlier(next_us, hub->now_us + LOOK_US);
	return result == HUB_REPLAY_MORE || hub_replay_is_forgetting(hub->hub);
}

static void
shrink(struct fanfare_hub *hub, uint64_t *next_us)
{
	if (hub->shrinks > 0 && hub->now_us >= hub->shrink_us) {
		hub_shrink(hub->hub);
		hub->shrinks--;
		hub->shrink_us = hub->now_us + CORE_SHRINK_US;
	}
	if (hub->shrinks > 0)
		set_earlier(next_us, hub->shrink_us);
}

/* True if more is to be done at once. */
static bool
work(struct fanfare_hub *hub, uint64_t *next_us)
{
	struct history *history = hub_history(hub->hub);
	bool more;

	hub_expire(hub->hub, hub->now_us, hub->block_us);
	if (hub->waiting > 0)
		set_earlier(next_us,
		    hub->now_us + (hub->block_us != UINT64_MAX ? LOOK_US : LOOK_RESERVED_US));
	more = !hub_reclassify(hub->hub, RECLASSIFIED_A_CALL);
	more = !history_work(history, hub->now_us, REMOVED_A_CALL) || more;
	set_earlier(next_us, history_due_us(history));
	more = replay(hub, next_us) || more;
	hub_tidy(hub->hub);
	shrink(hub, next_us);
	return more;
}

enum fanfare_result
fanfare_hub_work(struct fanfare_hub *hub, uint64_t now_us, uint64_t *next_us)
{
	uint64_t next = UINT64_MAX;
	bool more;

	if (hub == NULL || now_us >= CORE_NOW_END)
		return FANFARE_INVALID;
	if (!core_enter(hub))
		return FANFARE_BUSY;
	core_set_now(hub, now_us);
	more = work(hub, &next);
	core_leave(hub);
	if (next_us != NULL)
		*next_us = more ? hub->now_us : next;
	return more ? FANFARE_MORE : FANFARE_OK;
}
