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
 * The interface of a subcommand of fanfare.
 *
 * A subcommand is one file with one const table entry, which tool/main.c lists. The entry defines
 * its options, its --help and the number of its operands. It works in callbacks of the event loop
 * and stops the loop with an enum cli_status.
 */
enum cli_status {
	CLI_OK = 0,
	CLI_ERROR_REPLY = 1,
	CLI_USAGE = 2,
	CLI_TIMEOUT = 3,
	CLI_NO_CONNECTION = 4, /* cannot connect, or connection lost */
	CLI_FAILED = 5,        /* input or output failed, or invalid RESP from the server */
	CLI_SIGNALLED = 128,   /* plus the signal number */
};

struct cli {
	struct loop *loop;
	const struct target *target;
	struct tls_client *tls; /* or NULL */
	uint64_t connect_timeout_us;
	uint64_t timeout_us; /* for the whole run; 0: none */
	const void *options; /* the command's own struct, filled in from its option rows */
	char **operands;
	size_t operand_count;
	struct buffer out; /* written to stdout by the next cli_flush() */
};

struct cli_command {
	const char *name;
	const char *operands; /* for the usage line */
	const char *summary;
	const struct option_row *options;
	const void *defaults; /* initial values of the options struct */
	size_t options_bytes; /* size of the options struct */
	size_t min_operands;
	size_t max_operands;
	bool ends_options; /* everything after the first operand is an operand */
	/* The server's URL among the command's own options, or NULL. NULL: it has no such option.
	 */
	const char *(*url)(const void *options);
	enum cli_status (*run)(struct cli *cli);
};

extern const struct cli_command aof_command;
extern const struct cli_command bench_command;
extern const struct cli_command call_command;
extern const struct cli_command channels_command;
extern const struct cli_command history_command;
extern const struct cli_command import_command;
extern const struct cli_command info_command;
extern const struct cli_command ping_command;
extern const struct cli_command presence_command;
extern const struct cli_command pub_command;
extern const struct cli_command sub_command;

/* Prints "fanfare: ..." to stderr. */
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Writes cli->out to stdout, waiting for a slow reader. On failure it stops the loop and returns
 * false. A reader that has exited (EPIPE) is not a failure: status 0.
 */
bool cli_flush(struct cli *cli);

/* Flushes only a large amount: for use within a batch that ends with cli_flush(). */
bool cli_flush_some(struct cli *cli);

#endif
