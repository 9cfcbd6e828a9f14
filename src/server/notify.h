#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "server/key_event.h"

/*
 * Keyspace notifications: what happens to keys, as messages: of channel __keyspace@DB__:KEY the
 * event, of channel __keyevent@DB__:EVENT the key. Which of them are sent is config->notify_events,
 * a set of enum key_class and of the two below; none by default.
 *
 * They go through the hub like any message but wait for nobody: a subscriber with the policy
 * `block` that has no room is closed, and what would pass maxmemory-pubsub, or has a name longer
 * than max-channel-length, is skipped and counted.
 */
struct kv_db;
struct server;

#define NOTIFY_KEYSPACE (1u << 30) /* K */
#define NOTIFY_KEYEVENT (1u << 31) /* E */

/* Costs a branch where such events are not sent. */
void notify(struct server *server, enum key_class class, const char *event, const struct kv_db *db,
    struct slice name);

/* Redis's letters, in any order; and in its order, appended. */
#define NOTIFY_LETTERS "Ag$lshzxeKEtmdn"
bool notify_parse(struct slice letters, uint32_t *events) __attribute__((warn_unused_result));
void notify_show(uint32_t events, struct buffer *out);

#endif
