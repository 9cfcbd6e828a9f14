#ifndef EDGE_SESSION_H
#define EDGE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rate_limit.h"
#include "base/time_queue.h"
#include "edge/edge_config.h"
#include "edge/edge_io.h"
#include "edge/figures.h"
#include "edge/proofs.h"
#include "edge/session_state.h"
#include "server/door.h"
#include "server/metrics.h"

/*
 * Session: what the edge has for each of its clients; its door. For this layer only.
 *
 * A session is in one state (session_state.h). Parts that only some states need are allocated for
 * them: a request that is being read does not need what a stream needs.
 */
struct buffer;
struct client;
struct client_peer;
struct edge_leases;
struct edge_opening;
struct server;
struct token_grant;
struct tokens;

struct edge {
	const struct edge_config *config;
	struct server *server;
	struct edge_io io;
	struct tokens *tokens; /* borrowed; NULL: none */
	uint8_t first_form;    /* the hub's index of edge_forms[0] */
	struct time_queue due; /* sessions with a timer; in us */
	struct edge_proofs proofs;
	struct edge_figures figures;
	struct metrics_source metrics;
	struct rate_limit log_limit; /* log lines that peers cause */
};

#define EDGE_NOT_DUE UINT32_MAX

struct edge_session {
	struct door door; /* first */
	struct edge *edge;
	struct client *client;
	struct client_peer *proxy; /* owned: the other end of the connection, if the client is one
				      behind it; or NULL */
	struct token_grant *grant; /* a reference; NULL: no token */
	struct edge_opening *opening; /* owned: a stream that begins, or subscriptions of a
					 WebSocket; or NULL */
	struct edge_leases *leases;   /* owned: subscriptions with a token of their own, or NULL */
	struct edge_proof *proof;     /* of a token that its request waits for, or NULL */
	uint64_t spoke_us;            /* the last heartbeat, ping or other output; EDGE_JOINING:
					 since when */
	uint64_t expires_us;          /* when its token ends, monotonic; 0: never */
	uint64_t ends_us;             /* edge-max-age; 0: never */
	uint64_t rested_us;           /* when it may send a burst of commands again */
	uint32_t place;               /* in edge->due; EDGE_NOT_DUE */
	uint32_t done;                /* bytes of the frame whose commands were executed */
	size_t reply_bytes;           /* of the frame's commands that were executed */
	uint8_t state;                /* enum edge_state */
	bool is_tls : 1;
	/* What the request for a stream asks for; EDGE_OPENING only: */
	bool wants_json : 1;
	bool is_strict : 1;
	bool has_since : 1;
	bool has_kept : 1;      /* a stream with a channel that keeps messages */
	bool awaits_pong : 1;   /* the last ping is not answered */
	bool is_counted : 1;    /* edge_session_take_turn() has passed the command that waits */
	bool holds_address : 1; /* counted for its address: edge_forwarded_admit() */
	bool has_published : 1; /* in this step of a frame with several commands */
};

struct edge_session *edge_session_of(const struct client *c);

/* Returns owned; its client takes it over (server/door.h), or edge_session_unused(). */
struct edge_session *edge_session_new(struct edge *edge, const struct door_ops *ops, bool is_tls);
void edge_session_unused(struct edge_session *s);

/* True if the event is possible in its state; changes the state. */
bool edge_session_move(struct edge_session *s, enum edge_event event);

/* Sets its timer to the earliest of its times. Call it when one of them or its state changed. */
void edge_session_schedule(struct edge_session *s);

/* When its connection last read or wrote something, or spoke_us. The edge does not see messages
 * that are sent. */
uint64_t edge_session_active_us(const struct edge_session *s);

/* Changes its grant, and when it ends; takes a reference. grant may be NULL. */
void edge_session_set_grant(struct edge_session *s, struct token_grant *grant);

/* Its request was one that it may make: the limits of unauthenticated connections do not apply to
 * it any more. is_admitted false: they do again, until a WebSocket has sent its connect command. */
void edge_session_admit(struct edge_session *s, bool is_admitted);

/* When a session with this grant ends, monotonic; 0: never. It is in the future, or now. */
uint64_t edge_session_end_of(const struct edge *edge, const struct token_grant *grant);

/* Its time of edge-max-age begins. */
void edge_session_begin_age(struct edge_session *s, uint64_t now_us);

/* A command or frame of a WebSocket. False: it sends more than edge-command-rate. */
bool edge_session_take_turn(struct edge_session *s, uint64_t now_us)
    __attribute__((warn_unused_result));

/* Frees it: of struct door_ops. */
void edge_session_freed(struct client *c);

/* True at most a few times a second: a line that a peer causes may be logged. */
bool edge_may_log(struct edge *edge);

#endif
