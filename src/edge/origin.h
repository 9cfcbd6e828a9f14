#ifndef EDGE_ORIGIN_H
#define EDGE_ORIGIN_H

#include <stdbool.h>

#include "base/bytes.h"
#include "edge/edge_config.h"

/* Origin: whether a page of that origin may use the edge (RFC 6454; the Fetch standard). */
enum edge_origin {
	EDGE_ORIGIN_NONE,   /* the request names none: it comes from no page, or from one of ours */
	EDGE_ORIGIN_SAME,   /* scheme left aside, because a proxy may have ended TLS: see call.c */
	EDGE_ORIGIN_LISTED, /* in http-allowed-origins */
	EDGE_ORIGIN_ANY,    /* allowed by "*": without cookies */
	EDGE_ORIGIN_DENIED,
};

/* origin and host are the values of these headers; origin may be empty. An origin is compared as a
 * whole, port included: never by suffix. */
enum edge_origin edge_judge_origin(
    const struct edge_strings *allowed, struct slice origin, struct slice host);

/* True if the value of the header Host is one of these names, with any port, or if there are none.
 */
bool edge_host_is_served(const struct edge_strings *hosts, struct slice host);

/* True for "*" and for "scheme://host[:port]", without a path: what may be listed. */
bool edge_origin_is_valid(struct slice text);

#endif
