#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <stddef.h>

#include "base/bytes.h"
#include "cli/cli.h"

/*
 * Commands and their replies, for subcommands that ask and print.
 *
 * Both functions connect, send a command and pass its reply to a function that appends to cli->out.
 * An error reply is printed to stderr instead (CLI_ERROR_REPLY). Both return the exit status.
 */
struct resp_value;

enum cli_status ask(struct cli *cli, int proto, const struct slice *args, size_t count,
    void (*print)(struct cli *cli, const struct resp_value *value));

struct ask_command {
	const struct slice *args; /* valid until the next call */
	size_t count;             /* 0: there is nothing more to ask */
};

/* Several commands, one after the other. next() gets NULL first and then each reply, and returns
 * the next command. */
enum cli_status ask_pages(struct cli *cli, int proto,
    struct ask_command (*next)(struct cli *cli, void *arg, const struct resp_value *reply),
    void *arg);

/* Prints "fanfare: <error>" to stderr, with the server's bytes escaped. */
void ask_warn_error(struct slice error);

#endif
