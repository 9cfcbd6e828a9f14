#include "config.h"

#include "core/options.h"
#include "core/state.h"
#include "pubsub/hub_replay.h"

/* Looking into a hub: nothing here changes it. */

size_t
fanfare_numsub(const struct fanfare_hub *hub, struct fanfare_bytes channel)
{
	if (hub == NULL || !core_are_bytes(channel))
		return 0;
	return hub_numsub(hub->hub, HUB_CHANNEL, core_slice(channel));
}

size_t
fanfare_numpat(const struct fanfare_hub *hub)
{
	return hub != NULL ? hub_numpat(hub->hub) : 0;
}

enum fanfare_result
fanfare_next_channel(
    const struct fanfare_hub *hub, struct fanfare_bytes after, struct fanfare_bytes *name)
{
	const struct topic *topic;

	if (hub == NULL || name == NULL || !core_are_bytes(after))
		return FANFARE_INVALID;
	topic = hub_next_channel(hub->hub, HUB_CHANNEL, (struct slice){after.data, after.len});
	if (topic == NULL)
		return FANFARE_EMPTY;
	*name = core_bytes(topic_name(topic));
	return FANFARE_OK;
}

static void
add_history(const struct fanfare_hub *hub, struct fanfare_figures *all)
{
	struct history_figures history = history_figures(hub_history(hub->hub));
	struct hub_replay_figures replays = hub_replay_figures(hub->hub);

	all->evicted = history.evicted;
	all->expired = history.expired;
	all->kept_channels = history.rings;
	all->kept_messages = history.messages;
	all->kept_bytes = history.bytes;
	all->replayed = replays.replayed;
	all->overtaken = replays.overtaken;
	all->replays = replays.cursors;
}

enum fanfare_result
fanfare_hub_figures(const struct fanfare_hub *hub, struct fanfare_figures *figures)
{
	struct fanfare_figures all = {.size = sizeof(all)};
	struct hub_figures own;

	if (hub == NULL)
		return FANFARE_INVALID;
	own = hub_figures(hub->hub);
	all.published = own.published;
	all.delivered = own.delivered;
	all.dropped = own.dropped;
	all.subscribers = hub->subscriber_count;
	all.subscriptions = own.subscriptions;
	all.channels = hub_channels(hub->hub, HUB_CHANNEL);
	all.patterns = hub_numpat(hub->hub);
	all.queued_bytes = own.queued_bytes;
	all.queued_messages = own.queued_messages;
	all.memory = hub_memory_claimed(hub->hub);
	all.log_bytes = own.log_bytes;
	all.tree_bytes = own.tree_bytes;
	add_history(hub, &all);
	return options_fill(figures, &all, sizeof(all)) ? FANFARE_OK : FANFARE_INVALID;
}
