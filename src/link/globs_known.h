#ifndef LINK_GLOBS_KNOWN_H
#define LINK_GLOBS_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Globs known: which nodes of a cluster have subscribers of patterns, and which patterns, so that
 * copies of a message go to those nodes that want them. What a node has said holds for a lease,
 * and is then forgotten unless it says so again. A match costs as much as that of the hub: it does
 * not grow with the number of globs.
 */
#define GLOBS_NODES_MAX 256

struct globs_known;

struct globs_known *globs_known_new(void); /* returns owned (globs_known_free) */
void globs_known_free(struct globs_known *known);

/* The node has these globs now, in the form of globs_frame.h, as many as `count`; 0: none. False:
 * it is one of too many nodes, and nothing changed. Copies. */
bool globs_known_set(struct globs_known *known, struct slice id, struct slice globs, size_t count,
    uint64_t lease_us, uint64_t now_us) __attribute__((warn_unused_result));

/* All leases begin again: nothing could be heard meanwhile. */
void globs_known_renew(struct globs_known *known, uint64_t now_us);

/* Forgets nodes whose lease is over. */
void globs_known_expire(struct globs_known *known, uint64_t now_us);

size_t globs_known_nodes(const struct globs_known *known);

/* The nodes with a glob that matches, each once. Returns their number. ids are valid until the next
 * call of another function. */
size_t globs_known_match(
    struct globs_known *known, struct slice channel, struct slice ids[GLOBS_NODES_MAX]);

#endif
