#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct loop;
struct option_row;
struct target;
struct tls_client;

/*
 * What a subcommand of fanfare is, and what it is given.
 *
 * A subcommand is one file with one const table entry; main.c lists them, and from the entry come
 * parsing, --help and the checks of its operands. It does its work in callbacks of the loop and
 * ends it with a status of enum cli_status.
 */
enum cli_status {
	CLI_OK = 0,
	CLI_ERROR_REPLY = 1,
	CLI_USAGE = 2,
	CLI_TIMEOUT = 3,
	CLI_NO_CONNECTION = 4, /* could not connect, or the connection was lost */
	CLI_FAILED = 5,        /* local input or output failed, or the server does not speak RESP */
	CLI_SIGNALLED = 128,   /* plus the number of the signal */
};

struct cli {
	struct loop *loop;
	const struct target *target;
	struct tls_client *tls; /* or NULL */
	uint64_t connect_timeout_us;
	uint64_t timeout_us; /* of the whole run; 0: none */
	const void *options; /* the command's own struct, filled in from its rows */
	char **operands;
	size_t operand_count;
	struct buffer out; /* to stdout at the next cli_flush() */
};

struct cli_command {
	const char *name;
	const char *operands; /* as the usage line shows them */
	const char *summary;
	const struct option_row *options;
	const void *defaults; /* of the struct that the rows fill in */
	size_t options_bytes; /* its size */
	size_t min_operands;
	size_t max_operands;
	bool ends_options; /* what follows the first operand is operands, whatever it looks like */
	enum cli_status (*run)(struct cli *cli);
};

extern const struct cli_command aof_command;
extern const struct cli_command bench_command;
extern const struct cli_command call_command;
extern const struct cli_command info_command;
extern const struct cli_command ping_command;
extern const struct cli_command pub_command;
extern const struct cli_command sub_command;

/* "fanfare: ..." on stderr. */
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Writes cli->out to stdout, waiting for a slow reader. Where that fails it stops the loop and
 * returns false; a reader that has left (EPIPE) has had enough, which is no failure: status 0.
 */
bool cli_flush(struct cli *cli);

/* Flushes only when much has gathered: for use within a batch that ends with cli_flush(). */
bool cli_flush_some(struct cli *cli);

#endif
