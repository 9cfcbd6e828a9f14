#ifndef SERVER_DUMP_STREAM_H
#define SERVER_DUMP_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * A stream as commands (server/dump.h): XADD for each entry, XSETID for what it knows of its past,
 * XGROUP CREATE and CREATECONSUMER, XCLAIM for pending entries, and a line DUMP_CONSUMER with the
 * times of each consumer, which no command of clients can set.
 */
struct kv;
struct kv_db;
struct kv_stream;

/* No command for clients, only for server_replay(): key, group, consumer, when it was last seen,
 * and when it was active. */
#define DUMP_CONSUMER "FANFARED.XCONSUMER"

/* Called between two commands; false ends the dump. */
typedef bool dump_stream_pause(void *arg);

void dump_stream(struct buffer *out, struct slice key, const struct kv_stream *stream,
    dump_stream_pause *pause, void *arg);

/* Carries out a line DUMP_CONSUMER. False: its arguments are wrong. */
bool dump_consumer_read(const struct kv_db *db, const struct slice *argv, size_t argc)
    __attribute__((warn_unused_result));

#endif
