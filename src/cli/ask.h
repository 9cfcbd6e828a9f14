#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <stddef.h>

#include "base/bytes.h"
#include "cli/cli.h"

struct resp_value;

/*
 * One command and its reply, for `call` and `info`.
 *
 * Connects, sends the command and passes its reply to `print`, which appends to cli->out. An error
 * reply is printed to stderr instead (CLI_ERROR_REPLY). Returns the exit status.
 */
enum cli_status ask(struct cli *cli, int proto, const struct slice *args, size_t count,
    void (*print)(struct cli *cli, const struct resp_value *value));

/* Prints "fanfare: <error>" to stderr, with the server's bytes escaped. */
void ask_warn_error(struct slice error);

#endif
