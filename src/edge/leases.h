#ifndef EDGE_LEASES_H
#define EDGE_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* Leases: the subscriptions of a WebSocket that end with a token of their own, and when. There are
 * at most edge-max-channels. It knows no clock. For this layer only.
 *
 * A lease is that of a channel or pattern, and not of what the WebSocket calls it, because
 * ws-glob-prefix may change meanwhile. */
struct edge_leases;

/* NULL is an empty list in all functions. Copies name. */
struct edge_leases *edge_lease_set(
    struct edge_leases *leases, struct slice name, bool is_pattern, uint64_t ends_us);
struct edge_leases *edge_lease_end(struct edge_leases *leases, struct slice name, bool is_pattern);

/* The rules of the session's user bound this lease: its token names that user. */
void edge_lease_bound(
    struct edge_leases *leases, struct slice name, bool is_pattern, bool is_bounded);
bool edge_lease_is_bounded(const struct edge_leases *leases, struct slice name, bool is_pattern);

bool edge_lease_has(const struct edge_leases *leases, struct slice name, bool is_pattern);

/* The lease that ends first; false: there is none. Borrows name. */
bool edge_lease_first(
    const struct edge_leases *leases, struct slice *name, bool *is_pattern, uint64_t *ends_us);

void edge_leases_free(struct edge_leases *leases);

#endif
