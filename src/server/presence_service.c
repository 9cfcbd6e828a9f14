#include "config.h"

#include "server/presence_service.h"

#include <assert.h>

#include "base/clock.h"
#include "pubsub/hub.h"
#include "server/client.h"
#include "server/core.h"
#include "server/parted_members.h"
#include "server/pause.h"
#include "server/server_config.h"
#include "server/statistics.h"
#include "json/writer.h"

/* Steps of presence_turn between two checks of the clock: few, because options are looked up, which
 * takes long if thousands of lines match. */
#define STEPS_A_LOOK 8

#define SECOND_US ((uint64_t)1000000)

static const struct {
	const char *event, *channel;
} names[] = {
    [PRESENCE_JOINED] = {"join", "__presence__:"},
    [PRESENCE_LEFT] = {"leave", "__presence__:"},
    [PRESENCE_OCCUPIED] = {"occupied", "__occupancy__:"},
    [PRESENCE_VACATED] = {"vacated", "__occupancy__:"},
};

static void
read_options(void *arg, struct slice channel, struct presence_options *out)
{
	static const enum presence_mode modes[] = {
	    [CHANNEL_PRESENCE_NO] = PRESENCE_NO,
	    [CHANNEL_PRESENCE_COUNT] = PRESENCE_COUNT,
	    [CHANNEL_PRESENCE_MEMBERS] = PRESENCE_MEMBERS,
	};
	const struct server *server = arg;
	const struct channel_options *options = hub_options_of(server->hub, channel);

	*out = (struct presence_options){
	    .mode = modes[options->presence],
	    .leave_delay_us = options->leave_delay * SECOND_US,
	    .vacate_delay_us = options->vacate_delay * SECOND_US,
	};
	if ((options->events & CHANNEL_EVENT_OCCUPIED) != 0)
		out->announces |= PRESENCE_ANNOUNCES_OCCUPIED;
	if ((options->events & CHANNEL_EVENT_JOIN) != 0)
		out->announces |= PRESENCE_ANNOUNCES_JOINS;
}

static void
note_parted(void *arg, struct slice channel, struct slice member)
{
	const struct server *server = arg;

	if (server->presence->records_parted)
		parted_members_put(&server->presence->parted, channel, member);
}

static void
lines_changed(struct hub_options_watch *watch)
{
	struct presence_service *service =
	    (void *)((char *)watch - offsetof(struct presence_service, watch));

	presence_reconfigured(service->presence);
}

void
presence_service_init(struct server *server)
{
	struct presence_service *service = server->presence;
	const struct presence_config config = {.limits = &server->config->presence,
	    .options = read_options,
	    .parted = note_parted,
	    .arg = server};

	service->presence = presence_new(&config);
	presence_owner_init(&service->elsewhere);
	service->watch.lines_changed = lines_changed;
	hub_watch_options(server->hub, &service->watch);
}

void
presence_service_release(struct server *server)
{
	struct presence_service *service = server->presence;

	hub_unwatch_options(&service->watch);
	presence_service_record(server, false);
	if (!presence_detach(service->presence, &service->elsewhere, server->now_us, SIZE_MAX))
		assert(!"there are fewer joins than the budget");
	presence_free(service->presence);
	buffer_release(&service->channel);
	buffer_release(&service->message);
}

void
presence_service_record(struct server *server, bool is_on)
{
	server->presence->records_parted = is_on;
	if (!is_on)
		buffer_release(&server->presence->parted);
}

/* It may be gone: the channel has no presence any more. */
void
presence_service_part(struct server *server, struct slice channel, struct slice member)
{
	struct presence_service *service = server->presence;

	(void)presence_leave(
	    service->presence, &service->elsewhere, channel, member, server->now_us);
}

void
presence_service_end_elsewhere(struct server *server)
{
	server->presence->elsewhere_is_over = true;
}

bool
presence_release_client(struct client *c, size_t budget)
{
	struct server *server = c->server;

	return c->session == NULL || presence_detach(server->presence->presence,
					 &c->session->presence, server->now_us, budget);
}

bool
presence_service_write(struct server *server, const struct presence_event *event)
{
	struct buffer *channel = &server->presence->channel;
	struct buffer *message = &server->presence->message;

	buffer_clear(channel);
	buffer_append_str(channel, names[event->kind].channel);
	buffer_append_slice(channel, event->channel);
	buffer_clear(message);
	buffer_appendf(message, "{\"event\":\"%s\"", names[event->kind].event);
	if (event->kind == PRESENCE_JOINED || event->kind == PRESENCE_LEFT) {
		buffer_append_str(message, ",");
		json_put_member(message, "member", event->member);
		buffer_append_str(message, ",");
		json_put_member(message, "info", event->info);
	}
	buffer_append_str(message, "}");
	if (channel->len <= server->config->hub.name_bytes)
		return true;
	server->statistics->counters.skipped_presence_events++;
	return false;
}

/* event's slices are copies, so that this may end clients, which leave. */
static void
publish(struct server *server, const struct presence_event *event)
{
	struct counters *counters = &server->statistics->counters;
	size_t receivers;

	/* The events are those of the process that has taken over. */
	if (event->kind == PRESENCE_NO_EVENT || server->pause->handed_over)
		return;
	counters->presence_events++;
	if (presence_service_write(server, event) &&
	    hub_publish_now(server->hub, HUB_CHANNEL, buffer_slice(&server->presence->channel),
		buffer_slice(&server->presence->message), HUB_WITHIN_LIMITS, &receivers) != HUB_OK)
		counters->skipped_presence_events++;
}

/* Without room at the upstream the events wait. */
static uint64_t
due(const struct server *server, uint64_t now_us)
{
	const struct presence *presence = server->presence->presence;

	return presence_share_is_on(server) && !presence_share_has_room(server)
		   ? presence_turn_due_us(presence, now_us)
		   : presence_due_us(presence, now_us);
}

/* False: the time is up. */
static bool
give_events(struct server *server, uint64_t now_us, uint64_t deadline_us)
{
	struct presence *presence = server->presence->presence;
	bool is_shared = presence_share_is_on(server);
	struct presence_event event;

	while ((!is_shared || presence_share_has_room(server)) &&
	       presence_next_event(presence, now_us, &event)) {
		if (is_shared)
			presence_share_tell(server, &event);
		else
			publish(server, &event);
		if (clock_mono_us() >= deadline_us)
			return false;
	}
	return true;
}

/* True if more can be done at once. */
static bool
end_elsewhere(struct server *server, uint64_t now_us, uint64_t deadline_us)
{
	struct presence_service *service = server->presence;

	while (service->elsewhere_is_over) {
		service->elsewhere_is_over =
		    !presence_detach(service->presence, &service->elsewhere, now_us, STEPS_A_LOOK);
		if (clock_mono_us() >= deadline_us)
			break;
	}
	return service->elsewhere_is_over;
}

uint64_t
presence_service_turn(struct server *server, uint64_t now_us, uint64_t deadline_us)
{
	struct presence *presence = server->presence->presence;
	uint64_t due_us;
	bool has_more;

	presence_share_turn(server);
	if (end_elsewhere(server, now_us, deadline_us))
		return 0;
	presence_share_told(server); /* events before a question were told out of turn */
	due_us = due(server, now_us);
	if (due_us > now_us)
		return due_us - now_us;
	while (presence_turn(presence, now_us, STEPS_A_LOOK))
		if (clock_mono_us() >= deadline_us)
			return 0;
	has_more = !give_events(server, now_us, deadline_us);
	presence_share_told(server);
	if (has_more)
		return 0;
	due_us = due(server, now_us);
	return due_us > now_us ? due_us - now_us : 0;
}
