#ifndef SERVER_DUMP_H
#define SERVER_DUMP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* Dump: the keyspace as commands, for a new append-only file. */
struct server;

/*
 * Writes the commands that create the keyspace to sink, in pieces that it borrows. False: sink
 * returned false.
 */
bool server_dump(const struct server *server, bool (*sink)(void *arg, struct slice commands),
    void *arg) __attribute__((warn_unused_result));

size_t server_key_count(const struct server *server);

#endif
