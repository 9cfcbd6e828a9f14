#ifndef SERVER_TRACKING_PREFIXES_H
#define SERVER_TRACKING_PREFIXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Tracking prefixes: CLIENT TRACKING BCAST. A client is told of changed keys that begin with one of
 * its prefixes, whether it has read them or not. All prefixes are in one tree, so a change costs
 * one walk along the key's name. Changed keys are gathered and told once a turn, and also when
 * their names take much memory: one array for each client and prefix.
 */
struct client;
struct client_tracking;
struct server;
struct tracking;

/*
 * True if a prefix overlaps with one that the client has: *other is the latter, borrowed, and
 * *is_of_batch says whether it was added since own->batch has its value: by the same command.
 */
bool tracking_prefix_overlaps(const struct client_tracking *own, struct slice prefix,
    struct slice *other, bool *is_of_batch) __attribute__((warn_unused_result));

/* Adds a prefix, unless the client has it. Copies. */
void tracking_add_prefix(struct client_tracking *own, struct slice prefix);

/* Removes a prefix that the client has. */
void tracking_remove_prefix(struct client_tracking *own, struct slice prefix);

size_t tracking_prefix_count(const struct client_tracking *own);

/* The first prefix in the order of bytes, if after.ptr is NULL, or the next one behind `after`.
 * False: none. */
bool tracking_next_prefix(const struct client_tracking *own, struct slice after,
    struct slice *prefix) __attribute__((warn_unused_result));

/* Removes at most *budget of the client's prefixes, which it lowers. True if none is left. */
bool tracking_drop_prefixes(struct client_tracking *own, size_t *budget)
    __attribute__((warn_unused_result));

/* Notes a change for the prefixes that the key begins with. by: id of the client that made it, or
 * 0. */
void tracking_gather(struct tracking *tracking, uint64_t by, struct slice key);

/* Tells of the gathered keys. */
void tracking_broadcast(struct tracking *tracking);

#endif
