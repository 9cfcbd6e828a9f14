#ifndef SERVER_DUMP_H
#define SERVER_DUMP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* Dump: the keyspace as commands, for a new append-only file, a snapshot, or another process. */
struct server;

/*
 * Writes the commands that create the keyspace to sink, in pieces that it borrows. with_use: behind
 * each key also a line DUMP_LRU or DUMP_LFU with its access bits (kv_access), which depend on this
 * machine's monotonic clock: for a process on this machine. False: sink returned false.
 */
bool server_dump(const struct server *server, bool with_use,
    bool (*sink)(void *arg, struct slice commands), void *arg) __attribute__((warn_unused_result));

/* No commands for clients, only for server_replay(): name, access bits. By the kind of policy. */
#define DUMP_LRU "FANFARED.LRU"
#define DUMP_LFU "FANFARED.LFU"

size_t server_key_count(const struct server *server);

#endif
