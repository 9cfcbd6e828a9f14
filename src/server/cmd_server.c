#include "config.h"

#include <inttypes.h>

#include "base/clock.h"
#include "resp/writer.h"
#include "server/handlers.h"
#include "server/state.h"

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

/* Arguments are for other versions of the picture; there is one. */
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

/*
 * There is nothing to save, so SAVE, NOSAVE and FORCE say nothing; NOW leaves undone what is owed.
 * No reply is sent: the end of the connection is the answer. Once it has begun no more requests are
 * read, so whoever can ask to ABORT comes when there is nothing to abort.
 */
enum command_result
cmd_shutdown(struct request *rq)
{
	struct server *server = rq->server;
	bool save = false, nosave = false, now = false, force = false, abort_it = false;
	size_t i;

	for (i = 1; i < rq->argc; i++) {
		bool *option = slice_is_nocase(rq->argv[i], "save")     ? &save
			       : slice_is_nocase(rq->argv[i], "nosave") ? &nosave
			       : slice_is_nocase(rq->argv[i], "now")    ? &now
			       : slice_is_nocase(rq->argv[i], "force")  ? &force
			       : slice_is_nocase(rq->argv[i], "abort")  ? &abort_it
									: NULL;

		if (option == NULL) {
			request_syntax_error(rq);
			return COMMAND_DONE;
		}
		*option = true;
	}
	if ((save && nosave) || (abort_it && rq->argc > 2))
		request_syntax_error(rq);
	else if (abort_it)
		request_error(rq, "ERR No shutdown in progress.");
	else
		server->io.shutdown(server->io.arg, now);
	return COMMAND_DONE;
}
