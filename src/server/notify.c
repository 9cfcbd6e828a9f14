#include "config.h"

#include "server/notify.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "kv/keyspace.h"
#include "pubsub/hub.h"
#include "pubsub/hub_options.h"
#include "server/clients.h"
#include "server/core.h"
#include "server/server_config.h"
#include "server/statistics.h"

/* In the order in which they are shown. */
static const struct {
	char letter;
	uint32_t class;
} classes[] = {
    {'g', KEY_GENERIC},
    {'$', KEY_STRING},
    {'l', KEY_LIST},
    {'s', KEY_SET},
    {'h', KEY_HASH},
    {'z', KEY_ZSET},
    {'x', KEY_EXPIRED},
    {'e', KEY_EVICTED},
    {'t', KEY_STREAM},
    {'d', KEY_MODULE},
    {'n', KEY_NEW},
    {'K', NOTIFY_KEYSPACE},
    {'E', NOTIFY_KEYEVENT},
    {'m', KEY_MISS},
};

#define CLASSES (sizeof(classes) / sizeof(classes[0]))

#define ALL                                                                                        \
	((uint32_t)(KEY_GENERIC | KEY_STRING | KEY_LIST | KEY_SET | KEY_HASH | KEY_ZSET |          \
		    KEY_EXPIRED | KEY_EVICTED | KEY_STREAM | KEY_MODULE))

static uint32_t
class_of(char letter)
{
	size_t i;

	for (i = 0; i < CLASSES; i++)
		if (classes[i].letter == letter)
			return classes[i].class;
	return letter == 'A' ? ALL : 0;
}

bool
notify_parse(struct slice letters, uint32_t *events)
{
	uint32_t parsed = 0;
	size_t i;

	for (i = 0; i < letters.len; i++) {
		uint32_t class = class_of(letters.ptr[i]);

		if (class == 0)
			return false;
		parsed |= class;
	}
	*events = parsed;
	return true;
}

void
notify_show(uint32_t events, struct buffer *out)
{
	uint32_t left = events;
	size_t i;

	if ((events & ALL) == ALL) {
		buffer_append_str(out, "A");
		left &= ~ALL;
	}
	for (i = 0; i < CLASSES; i++)
		if ((left & classes[i].class) != 0)
			buffer_append(out, &classes[i].letter, 1);
}

static void
publish(struct server *server, const char *kind, const struct kv_db *db, struct slice what,
    struct slice message)
{
	struct buffer *channel = server->notify_channel;
	size_t receivers;

	buffer_clear(channel);
	buffer_appendf(channel, "__%s@%" PRIu32 "__:", kind, kv_db_index(db));
	if (what.len + channel->len > server->config->hub.name_bytes) {
		server->statistics->counters.skipped_notifications++;
		return;
	}
	buffer_append_slice(channel, what);
	if (hub_publish_now(server->hub, HUB_CHANNEL, buffer_slice(channel), message,
		HUB_WITHIN_LIMITS, &receivers) != HUB_OK)
		server->statistics->counters.skipped_notifications++;
}

void
notify(struct server *server, enum key_class class, const char *event, const struct kv_db *db,
    struct slice name)
{
	uint32_t events = server->config->notify_events;

	if ((events & class) == 0 ||
	    (server->clients->subscriber_count == 0 && hub_options_in_use(server->hub) == 0))
		return;
	hub_set_time(server->hub, server->now_us);
	if ((events & NOTIFY_KEYSPACE) != 0)
		publish(server, "keyspace", db, name, slice_of(event));
	if ((events & NOTIFY_KEYEVENT) != 0)
		publish(server, "keyevent", db, slice_of(event), name);
}
