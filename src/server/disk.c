#include "config.h"

#include "server/disk.h"

#include "server/core.h"
#include "server/wait.h"

void
server_set_disk(struct server *server, const struct server_disk *disk)
{
	*server->disk = *disk;
}

void
server_disk_ended(struct server *server)
{
	wait_event(server, WAIT_EVENT_SAVED);
}
