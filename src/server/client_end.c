#include "config.h"

#include "server/client_end.h"

#include "server/client.h"
#include "server/io.h"
#include "server/wait.h"

void
client_kill(struct client *c, const char *reason)
{
	if (c->killed || c->gone)
		return;
	c->killed = true;
	c->finishing = true;
	wait_event_of(c, WAIT_EVENT_LEFT);
	c->server->io->kill(c->conn, reason);
}

void
client_finish(struct client *c)
{
	if (c->finishing || c->gone)
		return;
	c->finishing = true;
	wait_event_of(c, WAIT_EVENT_LEFT);
	c->server->io->finish(c->conn);
}
