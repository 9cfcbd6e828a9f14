#ifndef CMD_CLIENT_LINES_H
#define CMD_CLIENT_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "server/request.h"

/*
 * Client lines: the reply of CLIENT LIST and OUTBOX LIST. It has one line for each client, in the
 * order of ids, or for each id after ID, in the order of the arguments. The lines are collected in
 * slices, because there may be very many clients, and sent as one string when all are collected.
 */
struct buffer;
struct client;

/* Appends a client's line, without a newline. */
typedef void client_line(const struct client *c, uint64_t now_us, struct buffer *out);

/*
 * A complete handler. After the subcommand's name it accepts no arguments, or ID and ids, or, if
 * with_type, TYPE and a type.
 */
enum command_result client_lines(struct request *rq, client_line *line, bool with_type);

#endif
