#ifndef LINK_TESTING_LINK_H
#define LINK_TESTING_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "link/link.h"

struct engine_ops;
struct engine_presence_ops;
struct testing_engine;
struct testing_presence;

/*
 * A link and the other end of its connection, without sockets: an upstream that reads the link's
 * commands and answers each of them as Redis does. One of its replies can be replaced.
 */
#define RIG_PROBE_US ((uint64_t)10000000)
#define RIG_LINGER_US ((uint64_t)5000000)
#define RIG_ID "0123456789"
#define RIG_PROBES "__fanfare__:probe:" RIG_ID
#define RIG_INFO "# Server\r\nrun_id:another\r\n"
#define RIG_SUBSCRIBED 16384

/* What a reply of the upstream is. */
enum rig_reply {
	RIG_HELLO,
	RIG_INFO_TEXT,
	RIG_PROBE_JOINED,
	RIG_JOINED,
	RIG_LEFT,
	RIG_PROBE_BACK,
	RIG_PROBE_SENT,
	RIG_MESSAGE,
	RIG_SENT,
	RIG_AHEAD,  /* of an engine: a channel that was not subscribed to before */
	RIG_SCRIPT, /* the reply to a script, or to SCRIPT LOAD */
	RIG_KEPT,   /* to the one that publishes */
	RIG_CHECKED,
	RIG_CLAIMED,
	RIG_LEASED, /* of an engine's presence */
	RIG_CHANGED,
	RIG_ASKED,
};

struct rig {
	struct link *link;
	struct link_config config;
	uint64_t now;
	struct buffer sent;       /* by the link, not read by the upstream yet */
	struct buffer in;         /* by the upstream, not given to the link yet */
	struct buffer heard;      /* what the link told, a line each */
	struct hub_position kept; /* of the newest message that was told to have one */
	char why[512];            /* it was dropped for */
	int drops;
	size_t sends, fail_at; /* the call of send() that fails, from 1 on; 0: none */
	bool loses_at_once;    /* ... and loses the connection before it returns */
	size_t split_at;       /* the input is given in two pieces, here; 0: in one */
	size_t given;          /* bytes of input on this connection */
	uint64_t newest_seq;   /* of a link with presence */
	bool echoes;           /* the link publishes again what it hears */

	/* Of the upstream. */
	struct resp_parser *parser;
	struct buffer subscribed[RIG_SUBSCRIBED];
	size_t subscribed_count;
	bool replies_first;      /* the reply to PUBLISH comes before the message, not behind it */
	const char *refused;     /* the error for commands with this ... */
	const char *refuses;     /* ... text in an argument */
	size_t replies;          /* so many were sent since rig_new() */
	size_t wrong_at;         /* this one, from 1 on, is replaced; 0: none ... */
	struct slice wrong;      /* ... by these bytes */
	enum rig_reply wrong_is; /* what it was */
	struct testing_engine *engine;     /* borrowed; NULL: it is none */
	struct testing_presence *presence; /* borrowed; NULL: it has none */
};

void rig_new(struct rig *rig); /* clears it first */
/* The upstream is an engine, and the link publishes kept messages. Borrows both. */
void rig_new_of_engine(
    struct rig *rig, struct testing_engine *engine, const struct engine_ops *ops);
/* The engine has the members of all nodes, and no channel keeps messages. Borrows all. The argument
 * of the operations is the rig. */
void rig_new_with_presence(struct rig *rig, struct testing_engine *engine,
    struct testing_presence *presence, const struct engine_presence_ops *ops);
void rig_free(struct rig *rig);

void rig_open(struct rig *rig); /* a new connection: link_opened() */
void rig_lose(struct rig *rig); /* the connection: link_lost() */
uint64_t rig_turn(struct rig *rig);
void rig_serve(struct rig *rig); /* the upstream reads, and its replies are given to the link */
void rig_give(struct rig *rig, struct slice bytes);
void rig_give_text(struct rig *rig, const char *text);

/* Turns and serves until the link is up and nothing is left to do, or it is down. */
void rig_settle(struct rig *rig);
/* Opens a connection and settles; the link is up. */
void rig_go_up(struct rig *rig);
/* Time passes in steps, with turns and answers. */
void rig_pass(struct rig *rig, uint64_t us);

enum interest_state rig_name(const struct rig *rig, const char *channel);
void rig_add(struct rig *rig, const char *channel);
void rig_remove(struct rig *rig, const char *channel);

#endif
