#include "config.h"

#include "link/engine_channels.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash_map.h"

void
engine_channels_init(struct engine_channels *channels)
{
	channels->by_name = hash_map_new();
	TAILQ_INIT(&channels->list);
}

void
engine_channels_release(struct engine_channels *channels)
{
	engine_channels_clear(channels);
	hash_map_free(channels->by_name);
}

size_t
engine_channels_count(const struct engine_channels *channels)
{
	return hash_map_count(channels->by_name);
}

struct slice
engine_channel_name(const struct engine_channel *channel)
{
	return (struct slice){channel->bytes, channel->len};
}

struct engine_channel *
engine_channels_find(const struct engine_channels *channels, struct slice name)
{
	return hash_map_get(channels->by_name, name);
}

struct engine_channel *
engine_channels_put(struct engine_channels *channels, struct slice name, uint32_t session)
{
	struct engine_channel *channel = engine_channels_find(channels, name);

	if (channel != NULL) {
		TAILQ_REMOVE(&channels->list, channel, link);
	} else {
		channel = xcalloc(1, sizeof(*channel) + name.len);
		channel->len = (uint32_t)name.len;
		memcpy(channel->bytes, name.ptr, name.len);
		hash_map_set(channels->by_name, name, channel);
	}
	TAILQ_INSERT_TAIL(&channels->list, channel, link);
	channel->session = session;
	return channel;
}

void
engine_channels_remove(struct engine_channels *channels, struct engine_channel *channel)
{
	hash_map_remove(channels->by_name, engine_channel_name(channel));
	TAILQ_REMOVE(&channels->list, channel, link);
	xfree(channel);
}

void
engine_channels_clear(struct engine_channels *channels)
{
	struct engine_channel *channel;

	while ((channel = TAILQ_FIRST(&channels->list)) != NULL)
		engine_channels_remove(channels, channel);
}

struct engine_channel *
engine_channels_older(const struct engine_channels *channels, uint32_t session)
{
	struct engine_channel *channel = TAILQ_FIRST(&channels->list);

	return channel != NULL && channel->session != session ? channel : NULL;
}

struct engine_channel *
engine_channels_rotate(struct engine_channels *channels)
{
	struct engine_channel *channel = TAILQ_FIRST(&channels->list);

	if (channel == NULL)
		return NULL;
	TAILQ_REMOVE(&channels->list, channel, link);
	TAILQ_INSERT_TAIL(&channels->list, channel, link);
	return channel;
}
