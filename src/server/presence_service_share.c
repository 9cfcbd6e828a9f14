#include "config.h"

#include "server/presence_service.h"

#include "pubsub/hub_options.h"
#include "server/core.h"
#include "server/pause.h"
#include "server/statistics.h"
#include "server/upstream.h"
#include "server/upstream_presence.h"

/* How long the members of a process that ends are kept: its clients connect to other nodes. */
#define LAST_LEASE_MS 10000

bool
presence_share_is_on(const struct server *server)
{
	return server->upstream != NULL && server->upstream->presence != NULL;
}

bool
presence_share_has_room(const struct server *server)
{
	return !server->presence->has_ended &&
	       server->upstream->presence->has_room(server->upstream);
}

/* As in pubsub/presence_event.c: the end of what was announced is announced under every mode. */
static bool
is_announced(const struct server *server, const struct presence_event *event)
{
	const struct channel_options *options = hub_options_of(server->hub, event->channel);

	switch (event->kind) {
	case PRESENCE_JOINED:
	case PRESENCE_LEFT:
		return event->is_public;
	case PRESENCE_OCCUPIED:
		return (options->events & CHANNEL_EVENT_OCCUPIED) != 0 &&
		       options->presence != CHANNEL_PRESENCE_NO;
	case PRESENCE_VACATED:
		return (options->events & CHANNEL_EVENT_OCCUPIED) != 0;
	default:
		return false;
	}
}

static void
describe(
    struct server *server, const struct presence_event *event, struct upstream_presence_change *out)
{
	*out = (struct upstream_presence_change){.kind = event->kind,
	    .channel = event->channel,
	    .member = event->member,
	    .info = event->info,
	    .is_connected = event->is_connected};
	if (!is_announced(server, event) || !presence_service_write(server, event))
		return;
	out->event_channel = buffer_slice(&server->presence->channel);
	out->event = buffer_slice(&server->presence->message);
}

void
presence_share_tell(struct server *server, const struct presence_event *event)
{
	struct upstream_presence_change change;

	if (event->kind == PRESENCE_NO_EVENT)
		return;
	describe(server, event, &change);
	server->upstream->presence->change(server->upstream, &change);
}

static bool
has_events(const struct presence *presence)
{
	return !presence_events_given(presence, presence_events_mark(presence));
}

void
presence_share_turn(struct server *server)
{
	if (!presence_share_is_on(server))
		return;
	presence_tell_all(server->presence->presence);
	if (server->pause->handed_over)
		presence_share_end(server);
	if (has_events(server->presence->presence) && !presence_share_has_room(server))
		(void)server->upstream->presence->begin(server->upstream);
}

static void
look_at_registration(struct server *server)
{
	struct presence_service *service = server->presence;

	if (service->registration == PRESENCE_WALKS && !presence_is_retelling(service->presence)) {
		service->registering = presence_events_mark(service->presence);
		service->registration = PRESENCE_TELLS;
	}
	if (service->registration != PRESENCE_TELLS ||
	    !presence_events_given(service->presence, service->registering))
		return;
	service->registration = PRESENCE_REGISTERED;
	server->upstream->presence->registered(server->upstream);
}

void
presence_share_told(struct server *server)
{
	struct presence_service *service = server->presence;

	look_at_registration(server);
	if (!service->is_awaited || !presence_events_given(service->presence, service->awaited))
		return;
	service->is_awaited = false;
	server_upstream_changed(server);
}

enum upstream_sending
presence_share_catch_up(struct server *server, bool *has_mark, uint64_t *mark)
{
	struct presence_service *service = server->presence;
	struct presence_event event;
	enum upstream_sending sending;

	presence_tell_all(service->presence);
	if (!*has_mark)
		*mark = presence_events_mark(service->presence);
	*has_mark = true;
	while (!service->has_ended && !presence_events_given(service->presence, *mark)) {
		if (presence_share_has_room(server) &&
		    presence_next_event(service->presence, server->now_us, &event)) {
			presence_share_tell(server, &event);
			continue;
		}
		sending = server->upstream->presence->begin(server->upstream);
		if (sending != UPSTREAM_SENT && sending != UPSTREAM_BUSY)
			return sending;
		if (!service->is_awaited || *mark < service->awaited)
			service->awaited = *mark;
		service->is_awaited = true;
		return UPSTREAM_BUSY;
	}
	return UPSTREAM_SENT;
}

void
presence_share_end(struct server *server)
{
	if (!presence_share_is_on(server) || server->presence->has_ended)
		return;
	server->presence->has_ended = true;
	server->upstream->presence->end(server->upstream, LAST_LEASE_MS);
}

/* For the link */

void
server_presence_told(struct server *server, bool is_published)
{
	server->statistics->counters.presence_events += is_published;
}

void
server_presence_refused(struct server *server)
{
	server->statistics->counters.skipped_presence_events++;
}

void
server_presence_register(struct server *server)
{
	server->presence->registration = PRESENCE_WALKS;
	presence_tell_all(server->presence->presence);
	presence_retell(server->presence->presence);
}

void
server_presence_state(struct server *server, struct slice channel, struct slice member,
    struct upstream_presence_change *out)
{
	struct presence_event event;

	presence_event_of(server->presence->presence, channel, member, &event);
	describe(server, &event, out);
}

void
server_presence_expired(struct server *server, struct slice channel, struct slice member,
    struct slice info, struct upstream_presence_change *out)
{
	const struct channel_options *options = hub_options_of(server->hub, channel);
	const struct presence_event event = {
	    .kind = member.len > 0 ? PRESENCE_LEFT : PRESENCE_VACATED,
	    .channel = channel,
	    .member = member,
	    .info = info,
	    .is_public = (options->events & CHANNEL_EVENT_JOIN) != 0 &&
			 options->presence == CHANNEL_PRESENCE_MEMBERS};

	describe(server, &event, out);
}
