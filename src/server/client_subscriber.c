#include "config.h"

#include "server/client_subscriber.h"

#include <stddef.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rate_limit.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/io.h"
#include "server/statistics.h"
#include "server/wait.h"

/* A client as a subscriber of the hub. */

static struct client *
client_of(struct subscriber *s)
{
	return (struct client *)(void *)((char *)s - offsetof(struct client, subscriber));
}

static void
on_ready(struct subscriber *s)
{
	struct client *c = client_of(s);

	if (!client_is_gone(c))
		c->server->io->ready(client_conn(c));
}

static void
close_slow(struct subscriber *s, enum door_end why, const char *reason)
{
	struct client *c = client_of(s);
	char label[160];

	if (client_door(c) == NULL)
		outbox_close(&s->outbox);
	if (client_is_dead(c))
		return;
	c->server->statistics->counters.evicted_clients++;
	if (rate_limit_take(c->server->log_limit, clock_mono_us()))
		log_notice("closing client %s: %s, %llu messages dropped",
		    client_label(c, label, sizeof(label)), reason,
		    (unsigned long long)s->outbox.dropped);
	client_dismiss(c, why, reason);
}

static void
on_overflow(struct subscriber *s)
{
	close_slow(s, DOOR_END_SLOW, "outbox exceeded its limits");
}

static void
on_overtaken(struct subscriber *s)
{
	close_slow(s, DOOR_END_BEHIND, "history dropped messages before they were replayed to it");
}

static void
on_room(struct subscriber *s)
{
	wait_event(client_of(s)->server, WAIT_EVENT_ROOM);
}

const struct subscriber_ops client_subscriber_ops = {
    .ready = on_ready,
    .overflow = on_overflow,
    .room = on_room,
    .overtaken = on_overtaken,
};
