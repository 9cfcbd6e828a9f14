#ifndef EDGE_COMMANDS_H
#define EDGE_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "server/command.h"
#include "json/reader.h"

/*
 * Commands of WebSockets: a subset of the JSON protocol of Centrifugo (its protocol version 2).
 * A text message has one command, or several, one a line: {"id":1,"subscribe":{...}}. Each gets a
 * message with its result or error. For this layer only.
 */
struct edge_session;
struct request;

/* Executes the commands of a text message; those that are done before it has to wait are not
 * executed again. */
enum command_result edge_commands_run(
    struct edge_session *s, struct request *rq, struct slice text);

/* Ends the connection with a close code, in the reply of the frame. */
void edge_commands_refuse(struct edge_session *s, struct request *rq, unsigned code);

#endif
