#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "server/key_event.h"

/*
 * Keyspace notifications: events of keys as messages. Channel __keyspace@DB__:KEY gets the event,
 * channel __keyevent@DB__:EVENT gets the key. config->notify_events, a set of enum key_class and of
 * the two below, selects what is sent; nothing by default.
 *
 * They go through the hub like other messages but never wait: a subscriber with the policy `block`
 * and a full outbox is closed, and a message that would exceed maxmemory-pubsub, or has a name
 * longer than max-channel-length, is skipped and counted.
 */
struct kv_db;
struct server;

#define NOTIFY_KEYSPACE (1u << 30) /* K */
#define NOTIFY_KEYEVENT (1u << 31) /* E */

/* Costs one branch if such events are not sent. */
void notify(struct server *server, enum key_class class, const char *event, const struct kv_db *db,
    struct slice name);

/* notify_parse reads Redis's letters in any order; notify_show appends them in its order. */
#define NOTIFY_LETTERS "Ag$lshzxeKEtmdn"
bool notify_parse(struct slice letters, uint32_t *events) __attribute__((warn_unused_result));
void notify_show(uint32_t events, struct buffer *out);

#endif
