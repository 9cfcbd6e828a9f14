#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "server/command.h"
#include "server/core.h"
#include "server/wait_state.h"

/*
 * Request: a running command, and what every handler needs: its arguments, its client, its reply. A
 * handler reaches all else through `server` (core.h) and the header of the module.
 */
struct block_ready;
struct client;
struct kv_db;

struct request {
	struct server *server;
	struct client *client;
	const struct command *command;
	const struct slice *argv; /* argv[0] is the name */
	size_t argc;
	struct buffer *reply; /* empty at first; pushed to the outbox when the handler is done */
	size_t push_len; /* leading bytes of reply that CLIENT REPLY OFF and SKIP do not drop */
	int proto;       /* as it was before the command */
	uint64_t now_us;
	size_t units;                    /* for request_slice_is_over */
	size_t secret_from;              /* arguments that no log and no monitor may show ... */
	size_t secret_to;                /* ... up to, not including, this one */
	bool failed;                     /* an error was put into reply */
	enum wait_reason waits_for;      /* COMMAND_LATER, COMMAND_AGAIN */
	const struct block_ready *ready; /* see blocked.h; NULL: it did not wait */
	bool
	    in_transaction; /* EXEC or a script runs it: it must be done when the handler returns */
	bool in_script;
	int64_t now_ms; /* Unix time, see request_now_ms; 0: not read yet */
	size_t changes; /* changes to keys, see key_changed */
	bool logged;    /* request_propagate was called */
};

/*
 * Replies with "-<text>"; printf-checked. text begins with its code: "ERR ...". Text from a peer
 * may hold any bytes: line ends become spaces, and the reply is cut to 1 KiB. Counted by code.
 */
void request_error(struct request *rq, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void request_ok(struct request *rq);
void request_syntax_error(struct request *rq); /* "ERR syntax error" */

/* "ERR unknown subcommand or wrong number of arguments for 'x'. Try PUBSUB HELP." */
void request_subcommand_syntax_error(struct request *rq);

/*
 * For handlers whose work grows with their arguments or with the client: called after each unit of
 * work (a few us at most). True if the slice of this turn is used up: the handler stores its
 * position in client->progress (not 0) and returns COMMAND_AGAIN. The bytes in reply are sent if
 * all of them are pushes (push_len); otherwise they are kept until the command is done, so that
 * nothing comes in between.
 */
bool request_slice_is_over(struct request *rq);

/* The same after several units of work. */
bool request_units_are_over(struct request *rq, size_t units);

/* Arguments from..to-1 are secret. A second call extends the range to cover both. */
void request_hide(struct request *rq, size_t from, size_t to);

/* The argument as logs and monitors may show it: itself or "(redacted)". */
struct slice request_shown_arg(const struct request *rq, size_t i);

/* The reply of X HELP; NULL-terminated lines, the header and the HELP lines are added. */
void request_help(struct request *rq, const char *const lines[]);

/* The database that the client has selected. */
struct kv_db *request_db(const struct request *rq);

/* Unix time in ms, the same throughout the command (and throughout a transaction). */
int64_t request_now_ms(struct request *rq);

#endif
