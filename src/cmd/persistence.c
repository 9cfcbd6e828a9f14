#include "config.h"

#include "cmd/handlers.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/disk.h"
#include "server/request.h"

/* SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF. They call struct server_disk, which app fills in. */

/* Returns false after replying with an error if there is no persistence, as in a unit test. */
static bool
has_disk(struct request *rq)
{
	if (rq->server->disk->save != NULL)
		return true;
	request_error(rq, "ERR");
	return false;
}

static struct server_disk_figures
figures_of(const struct server *server)
{
	struct server_disk_figures figures;

	server->disk->figures(server->disk->arg, &figures);
	return figures;
}

/* Waits for a snapshot that began after the request. Other clients are served meanwhile. */
enum command_result
cmd_save(struct request *rq)
{
	struct client *c = rq->client;
	struct server *server = rq->server;
	struct server_disk_figures figures;

	if (!has_disk(rq))
		return COMMAND_DONE;
	figures = figures_of(server);
	if (c->pending->awaited_disk == 0) {
		if (figures.saving) {
			request_error(rq, "ERR Background save already in progress");
			return COMMAND_DONE;
		}
		if (server->disk->save(server->disk->arg, true) == DISK_UNABLE) {
			request_error(rq, "ERR");
			return COMMAND_DONE;
		}
		c->pending->awaited_disk = figures.saves + 1;
	}
	if (figures.saves < c->pending->awaited_disk) {
		rq->waits_for = WAIT_SAVE;
		return COMMAND_LATER;
	}
	if (!figures.save_done)
		request_error(rq, "ERR");
	else
		request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_bgsave(struct request *rq)
{
	bool may_wait = rq->argc == 2 && slice_is_nocase(rq->argv[1], "schedule");

	if (rq->argc > 1 && !may_wait) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (!has_disk(rq))
		return COMMAND_DONE;
	switch (rq->server->disk->save(rq->server->disk->arg, may_wait)) {
	case DISK_STARTED:
		resp_put_simple(rq->reply, "Background saving started");
		break;
	case DISK_SCHEDULED:
		resp_put_simple(rq->reply, "Background saving scheduled");
		break;
	case DISK_SAVING:
		request_error(rq, "ERR Background save already in progress");
		break;
	case DISK_REWRITING:
		request_error(rq,
		    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use "
		    "BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.");
		break;
	case DISK_UNABLE:
		request_error(rq, "ERR Background saving cannot start. Check logs.");
		break;
	}
	return COMMAND_DONE;
}

enum command_result
cmd_lastsave(struct request *rq)
{
	if (has_disk(rq))
		resp_put_int(rq->reply, figures_of(rq->server).save_time);
	return COMMAND_DONE;
}

enum command_result
cmd_bgrewriteaof(struct request *rq)
{
	if (!has_disk(rq))
		return COMMAND_DONE;
	switch (rq->server->disk->rewrite(rq->server->disk->arg)) {
	case DISK_STARTED:
		resp_put_simple(rq->reply, "Background append only file rewriting started");
		break;
	case DISK_SCHEDULED:
		resp_put_simple(rq->reply, "Background append only file rewriting scheduled");
		break;
	case DISK_SAVING:
	case DISK_REWRITING:
		request_error(rq, "ERR Background append only file rewriting already in progress");
		break;
	case DISK_UNABLE:
		request_error(
		    rq, "ERR Background append only file rewriting cannot start. Check logs.");
		break;
	}
	return COMMAND_DONE;
}
