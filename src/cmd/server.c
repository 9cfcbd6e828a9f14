#include "config.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "cmd/handlers.h"
#include "resp/writer.h"
#include "server/disk.h"
#include "server/io.h"
#include "server/lame_duck.h"
#include "server/request.h"
#include "server/scripts.h"

/* TIME, LOLWUT, SHUTDOWN. */

enum command_result
cmd_time(struct request *rq)
{
	uint64_t now_us = clock_wall_us();

	resp_put_array(rq->reply, 2);
	resp_put_bulk_int(rq->reply, (int64_t)(now_us / 1000000));
	resp_put_bulk_int(rq->reply, (int64_t)(now_us % 1000000));
	return COMMAND_DONE;
}

static const char trumpet[] = "          _   _   _\n"
			      "         |_| |_| |_|                   __.-'|\n"
			      "  =|______|___|___|______________ __.-'     |\n"
			      "  =|_____________________________           |\n"
			      "         /| || || |\\             ''--.__    |\n"
			      "         \\|_||_||_|/                    ''--|\n"
			      "          '-------'\n";

/* The arguments select other pictures in Redis; there is one here. */
enum command_result
cmd_lolwut(struct request *rq)
{
	struct buffer text = {0};
	int64_t version;

	if (rq->argc > 2 && slice_is_nocase(rq->argv[1], "version") &&
	    !slice_to_i64(rq->argv[2], &version)) {
		request_error(rq, "ERR value is not an integer or out of range");
		return COMMAND_DONE;
	}
	buffer_append_str(&text, trumpet);
	buffer_append_str(&text, "\nFanfare ver. " PACKAGE_VERSION "\n");
	resp_put_verbatim(rq->reply, rq->proto, "txt", buffer_slice(&text));
	buffer_release(&text);
	return COMMAND_DONE;
}

/* The options of SHUTDOWN. */
struct shutdown {
	bool save, nosave, now, force, abort_it, graceful;
	uint32_t grace_s;
};

static bool
parse_grace(struct request *rq, struct slice text, struct shutdown *s)
{
	int64_t seconds;

	if (!slice_to_i64(text, &seconds)) {
		request_error(rq, "ERR value is not an integer or out of range");
		return false;
	}
	if (seconds < 0 || seconds > INT32_MAX) {
		request_error(rq, "ERR value is out of range, must be positive");
		return false;
	}
	s->graceful = true;
	s->grace_s = (uint32_t)seconds;
	return true;
}

/* Returns false after replying with an error. */
static bool
parse_shutdown(struct request *rq, struct shutdown *s)
{
	size_t i;

	for (i = 1; i < rq->argc; i++) {
		bool *option = slice_is_nocase(rq->argv[i], "save")     ? &s->save
			       : slice_is_nocase(rq->argv[i], "nosave") ? &s->nosave
			       : slice_is_nocase(rq->argv[i], "now")    ? &s->now
			       : slice_is_nocase(rq->argv[i], "force")  ? &s->force
			       : slice_is_nocase(rq->argv[i], "abort")  ? &s->abort_it
									: NULL;

		if (option != NULL) {
			*option = true;
		} else if (slice_is_nocase(rq->argv[i], "grace") && i + 1 < rq->argc) {
			if (!parse_grace(rq, rq->argv[++i], s))
				return false;
		} else {
			request_syntax_error(rq);
			return false;
		}
	}
	if ((s->save && s->nosave) || (s->abort_it && rq->argc > 2) || (s->graceful && s->now)) {
		request_syntax_error(rq);
		return false;
	}
	return true;
}

static void
abort_shutdown(struct request *rq)
{
	struct server *server = rq->server;
	char error[256];

	if (server->lame_duck->state == LAME_DUCK_NOT)
		request_error(rq, "ERR No shutdown in progress.");
	else if (!server->io->lame_duck_abort(server->io->arg, error, sizeof(error)))
		request_error(rq, "ERR %s", error);
	else
		request_ok(rq);
}

/*
 * Takes a snapshot before the end if SAVE, NOSAVE or the save rules say so; with GRACE it is taken
 * at the end of the grace period. Returns false after replying with an error if the snapshot
 * failed; the choice of an earlier SHUTDOWN then remains.
 */
static bool
save_before(struct request *rq, const struct shutdown *s)
{
	const struct server_disk *disk = rq->server->disk;
	bool is_due = s->grace_s == 0 && !s->nosave;

	if (disk->save_now == NULL)
		return true;
	if (is_due && (s->save || disk->has_save_rules(disk->arg)) && !disk->save_now(disk->arg) &&
	    !s->force) {
		request_error(rq, "ERR Errors trying to SHUTDOWN. Check logs.");
		return false;
	}
	/* A snapshot that has just been written is not written again. */
	disk->set_last_save(disk->arg,
	    s->save && !is_due ? DISK_SAVE_ALWAYS
	    : s->nosave        ? DISK_SAVE_NEVER
			       : DISK_SAVE_BY_RULES,
	    s->force);
	return true;
}

/*
 * SHUTDOWN NOW drops queued output. Without GRACE there is no reply: the connection is closed
 * instead. No request is read after that, so only a lame-duck period can be aborted.
 */
enum command_result
cmd_shutdown(struct request *rq)
{
	struct server *server = rq->server;
	struct shutdown s = {0};

	if (!parse_shutdown(rq, &s))
		return COMMAND_DONE;
	if (scripts_are_suspended(server) && !s.nosave) {
		request_error(rq, SCRIPTS_BUSY_ERROR);
		return COMMAND_DONE;
	}
	if (s.abort_it) {
		abort_shutdown(rq);
	} else if (!save_before(rq, &s)) {
		return COMMAND_DONE;
	} else if (s.grace_s > 0) {
		server->io->lame_duck(server->io->arg, s.grace_s);
		request_ok(rq);
	} else {
		server->io->shutdown(server->io->arg, s.now);
	}
	return COMMAND_DONE;
}
