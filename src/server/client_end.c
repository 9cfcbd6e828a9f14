#include "config.h"

#include "server/client_end.h"

#include "base/buffer.h"
#include "server/client.h"
#include "server/clients.h"
#include "server/io.h"
#include "server/wait.h"

void
client_kill(struct client *c, const char *reason)
{
	bool was_parting = c->state == CLIENT_PARTING;

	if (!client_state_move(&c->state, CLIENT_EVENT_KILL))
		return;
	if (was_parting)
		c->server->clients->parting--;
	wait_event_of(c, WAIT_EVENT_LEFT);
	c->server->io->kill(client_conn(c), reason);
}

static bool
finish(struct client *c, enum client_event event)
{
	if (!client_state_move(&c->state, event))
		return false;
	wait_event_of(c, WAIT_EVENT_LEFT);
	c->server->io->finish(client_conn(c));
	return true;
}

void
client_finish(struct client *c)
{
	(void)finish(c, CLIENT_EVENT_FINISH);
}

bool
client_part(struct client *c)
{
	return finish(c, CLIENT_EVENT_PART);
}

void
client_refuse(struct client *c)
{
	(void)finish(c, CLIENT_EVENT_REFUSE);
}

void
client_say_farewell(struct client *c, enum door_end why)
{
	struct door *door = client_door(c);
	struct buffer farewell = {0};

	if (door == NULL)
		return;
	door->ops->ending(c, why, &farewell);
	client_send_reply(c, buffer_slice(&farewell));
	buffer_release(&farewell);
}
