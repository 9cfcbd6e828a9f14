#ifndef EDGE_OPENING_H
#define EDGE_OPENING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/hub.h"
#include "pubsub/hub_replay.h"
#include "pubsub/position.h"
#include "server/upstream.h"

/*
 * Opening: the subscriptions with which a stream or a WebSocket begins, and from where each goes
 * on. Looking for the kept messages of patterns takes several turns; the subscriptions are then
 * made in one step, so that no message comes in between and all replays are merged by position.
 */
struct edge_opening;
struct request;
struct subscriber;

struct edge_name {
	struct slice name; /* owned by the opening */
	bool is_pattern;
	bool keeps;               /* a channel that it receives may keep messages */
	enum hub_verdict verdict; /* set by edge_opening_step() */
};

/* Borrows s. Returns owned (edge_opening_free). */
struct edge_opening *edge_opening_new(struct subscriber *s);
void edge_opening_free(struct edge_opening *opening); /* NULL is allowed */

/* Adds a name with its own position, before the first step; since NULL: messages from now on, and
 * those of the channel's option `replay`. Copies. A name that is there already is left alone. */
void edge_opening_add(struct edge_opening *opening, struct slice name, bool is_pattern,
    const struct position_since *since);
/* A position that is not one of this daemon: what was missed is unknown. */
void edge_opening_add_lost(struct edge_opening *opening, struct slice name, bool is_pattern);

size_t edge_opening_count(const struct edge_opening *opening);
const struct edge_name *edge_opening_name(const struct edge_opening *opening, size_t i);

/* For the caller's check of rights, which may take several turns: how many names it has looked at
 * under which rules. {0} at first. */
struct edge_check {
	size_t done;
	uint32_t version;
};
struct edge_check *edge_opening_check(struct edge_opening *opening);

/* Asks the upstream for all names: see upstream.h. UPSTREAM_ASKED: the request has to wait. */
enum upstream_need edge_opening_link(struct edge_opening *opening, struct request *rq)
    __attribute__((warn_unused_result));

/* True: edge_opening_subscribe() may be called in this turn. False: the slice is over, or other
 * gathers go first: call it again in a later turn. */
bool edge_opening_step(struct edge_opening *opening, struct request *rq)
    __attribute__((warn_unused_result));

/*
 * Subscribes to all names. HUB_OK: call hub_start_replay() when the head of the answer is queued.
 * Otherwise there is no subscription but those of before, and *failed is the name.
 */
enum hub_result edge_opening_subscribe(struct edge_opening *opening, uint64_t now_us,
    const struct edge_name **failed) __attribute__((warn_unused_result));

/*
 * For a subscriber that gets its missed messages otherwise: after edge_opening_step(), in the same
 * turn, calls put() for each of them, in the order of seq, until it returns false. False: it did,
 * or a name has HUB_LOST.
 */
struct hub_message;
bool edge_opening_read(struct edge_opening *opening, uint64_t now_us,
    bool (*put)(void *arg, const struct hub_message *message), void *arg)
    __attribute__((warn_unused_result));

/* As edge_opening_subscribe(), but for messages from now on only. */
enum hub_result edge_opening_subscribe_live(struct edge_opening *opening)
    __attribute__((warn_unused_result));

/* Frees *opening, which is NULL afterwards. */
void edge_opening_drop(struct edge_opening **opening);

#endif
