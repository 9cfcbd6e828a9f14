#ifndef LINK_CATCH_UP_H
#define LINK_CATCH_UP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/position.h"

/*
 * Catch-up: how far a link has read the messages of an upstream that gives them positions, which a
 * fanfared does (fanfare-history(7)). After the connection was lost the link goes on from there, so
 * that nothing is missing and nothing comes twice.
 *
 * Names are resumed in several commands, so kept messages of different channels do not come in the
 * order of their positions at first. One position is enough to resume from only when all of them
 * have come: if the connection is lost before, what was missed is not known.
 */
enum catch_up_state {
	CATCH_UP_NONE,      /* no position is known from which everything was read */
	CATCH_UP_LIVE,      /* everything up to `newest` was read */
	CATCH_UP_SAVED,     /* the same, and the connection is lost */
	CATCH_UP_REPLAYING, /* names are resumed from `newest` as it was then */
};
#define CATCH_UP_STATES (CATCH_UP_REPLAYING + 1)

enum catch_up_event {
	CATCH_UP_POSITIONED, /* all names are live, and the upstream told the newest position */
	CATCH_UP_OFFERED,    /* the upstream of a new connection gives positions */
	CATCH_UP_DENIED,     /* it does not, or cannot resume */
	CATCH_UP_LOST,       /* the connection was */
};
#define CATCH_UP_EVENTS (CATCH_UP_LOST + 1)

/* The table. */
enum catch_up_state catch_up_next(enum catch_up_state state, enum catch_up_event event);

struct hash_map;

struct catch_up {
	enum catch_up_state state;
	struct hub_position newest; /* of all messages that came */
	struct hub_position target; /* CATCH_UP_REPLAYING: settled when all up to it was queued */
	struct hash_map *seen; /* CATCH_UP_REPLAYING, and a while later: channel -> newest seq */
	char since[POSITION_TEXT_MAX];
	size_t since_len;
};

void catch_up_release(struct catch_up *c);

void catch_up_offered(struct catch_up *c);
void catch_up_denied(struct catch_up *c);
void catch_up_lost(struct catch_up *c);

/* From where names are resumed; empty: they are not. */
struct slice catch_up_since(const struct catch_up *c);

/* All names were asked for, and the upstream's newest position is this: when everything up to it
 * was read, all are live. */
void catch_up_aim(struct catch_up *c, struct hub_position target);
bool catch_up_has_aim(const struct catch_up *c);

/* Everything up to this position was read; it counts after catch_up_aim() only. */
void catch_up_reached(struct catch_up *c, struct hub_position position);

/* Removes the position and the space in front of a payload. False: there is none. */
bool catch_up_split(struct slice *payload, struct hub_position *position)
    __attribute__((warn_unused_result));

/* A message has come. False: it had come before. */
bool catch_up_take(struct catch_up *c, struct slice channel, struct hub_position position)
    __attribute__((warn_unused_result));

/* More channels have come while names resume than are remembered: drop the connection. */
#define CATCH_UP_CHANNELS_MAX ((size_t)1 << 20)
bool catch_up_is_full(const struct catch_up *c);

/* Frees some of what it does not need any more. */
void catch_up_tidy(struct catch_up *c);

#endif
