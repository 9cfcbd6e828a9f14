#ifndef CMD_CLIENT_LINES_H
#define CMD_CLIENT_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "server/request.h"

/*
 * Client lines: the reply of CLIENT LIST and OUTBOX LIST, one line for each client, in the order of
 * ids, or for those named by ID in the order in which they are named. The lines are collected in
 * slices, because their number is that of the clients, and sent as one string when all are there.
 */
struct buffer;
struct client;

/* Appends a client's line, without a newline. */
typedef void client_line(const struct client *c, uint64_t now_us, struct buffer *out);

/* A whole handler. The arguments behind the subcommand's name are none, or ID and ids, or,
 * with_type, TYPE and a name. */
enum command_result client_lines(struct request *rq, client_line *line, bool with_type);

#endif
