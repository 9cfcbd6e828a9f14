#ifndef EDGE_SUBSCRIBE_H
#define EDGE_SUBSCRIBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "edge/channel.h"
#include "edge/command.h"

/* The steps of a subscription of a WebSocket, for the commands subscribe and connect. */
struct buffer;
struct edge_opening;

struct edge_wish {
	struct edge_channel channel;
	struct slice token, epoch; /* empty: none */
	uint64_t offset;
	bool recover;
	bool is_bounded;   /* its own token names a user, whose rules bound it */
	uint64_t lease_us; /* when its own token ends; 0: it has none; UINT64_MAX: it never ends */
	uint64_t ttl_s;    /* after which its client needs another token; 0: never */
};

/* Limits, and whether it exists already. */
enum edge_outcome edge_subscribe_check(struct edge_command *command, const struct edge_wish *wish);

/* Returns owned (edge_opening_free). */
struct edge_opening *edge_subscribe_opening(struct edge_session *s, const struct edge_wish *wish);

/* After edge_opening_step(), in its turn: makes the subscription and appends its result. */
enum edge_outcome edge_subscribe_step(struct edge_command *command, const struct edge_wish *wish,
    struct edge_opening *opening, struct buffer *out);

#endif
