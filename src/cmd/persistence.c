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

/* Notes which snapshot to wait for. False after replying with an error. */
static bool
begin_save(struct request *rq, const struct server_disk_figures *before)
{
	const struct server_disk *disk = rq->server->disk;
	enum disk_answer answer = disk->save(disk->arg, true);
	bool is_behind_another = answer == DISK_SCHEDULED && before->saving;

	if (answer == DISK_SAVING) {
		request_error(rq, "ERR Background save already in progress");
		return false;
	}
	if (answer == DISK_UNABLE) {
		request_error(rq, "ERR");
		return false;
	}
	rq->client->pending->awaited_disk = before->saves + (is_behind_another ? 2 : 1);
	return true;
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
	if (c->pending->awaited_disk == 0 && !begin_save(rq, &figures))
		return COMMAND_DONE;
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
