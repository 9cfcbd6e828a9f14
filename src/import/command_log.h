#ifndef IMPORT_COMMAND_LOG_H
#define IMPORT_COMMAND_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * The commands of an append-only file: arrays of bulk strings, and annotations, which are skipped
 * (a line that begins with #). Anything else is a fault of the input. It is stricter than the
 * parser for clients, because every tolerated deviation would hide damage. Memory is that of one
 * command.
 */
struct rdb_input;

struct command_log {
	struct rdb_input *in; /* borrowed */
	struct buffer bytes;  /* of the arguments */
	size_t *ends;         /* owned; the end of each argument */
	struct slice *argv;   /* owned */
	size_t room;          /* of ends and argv */
	size_t argc;
	uint64_t at; /* offset of the command read last, or of the incomplete one */
};

/* Zero but for `in` before the first call. */
enum command_log_result { COMMAND_LOG_COMMAND, COMMAND_LOG_END, COMMAND_LOG_BAD };

/* The next command: argv and argc, valid until the next call. COMMAND_LOG_BAD: the input has a
 * fault; if it says that the file ends early, only the command at `at` is incomplete. */
enum command_log_result command_log_next(struct command_log *log);
void command_log_release(struct command_log *log);

#endif
