#ifndef NET_CONN_H
#define NET_CONN_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/rate_limit.h"
#include "net/conn_state.h"
#include "net/conn_time.h"
#include "net/end_watch.h"
#include "net/io_loop.h"
#include "net/net.h"
#include "net/parser_pool.h"
#include "net/stream.h"
#include "net/unparsed.h"

/* Shared by the files of the net layer: the bodies of struct net and struct conn. For this layer
 * only. */
struct conn_extra;
struct proxy_pending;
struct listener;

TAILQ_HEAD(conns, conn);
TAILQ_HEAD(conn_extras, conn_extra);
TAILQ_HEAD(proxy_pendings, proxy_pending);
TAILQ_HEAD(listeners, listener);

/* The most bytes written to one connection in a turn; a socket may take megabytes at once. */
#define NET_FLUSH_BYTES ((size_t)262144)

/* The main loop's data of an I/O loop. */
struct net_loop {
	struct io_loop *io;
	struct net_loop_figures figures;
	struct conns messages;  /* its subscribers with output to flush, as in struct net */
	struct conns in_flight; /* subscribers for which it writes, the oldest write first */
	unsigned in_flight_count;
};

struct net {
	const struct net_config *config;                    /* borrowed */
	const struct net_service *services;                 /* borrowed */
	const struct protocol *protocols[NET_SERVICES_MAX]; /* of each service */
	struct parser_pool parsers;
	struct net_handler handler;
	void *arg;
	struct event_base *base;
	struct conns all;
	struct conns replies;  /* connections with output to flush that get only replies */
	struct conns messages; /* subscribers with output to flush, the longest queued first */
	struct conns first;    /* new subscribers that nothing was written to, flushed last */
	struct conns ready;    /* to be read, or with requests to handle */
	struct conns later;    /* the same, for new and closing connections: see conn_input.c */
	struct conns closing;  /* dead, freed at the end of the turn */
	struct conn_extras handshaking; /* in the TLS handshake, the oldest first */
	size_t handshaking_count;
	struct tls *tls; /* for new connections on TLS listeners; NULL: not set */
	uint64_t expiry_check_us;
	struct conns replies_in_flight; /* other loops write for them; not subscribers */
	struct net_loop loops[NET_LOOPS_MAX];
	unsigned loop_count; /* 0: this loop reads and writes itself */
	unsigned service_count;
	struct io_inbox inbox;
	struct event *inbox_event;
	struct end_watch *ends;       /* of connections in CONN_BLOCKED */
	struct io_limits loop_limits; /* limits that the loops have */
	struct listeners listeners;
	struct address_limits *addresses; /* count each conn until conn_free */
	struct proxy_pendings proxy_pending;
	size_t proxy_pending_count;
	size_t proxy_pending_tls_count;  /* TLS ones: they count as handshakes */
	struct rate_limit refusal_lines; /* notices to connections that are refused */
	struct rate_limit refusal_logs;  /* log lines about refusals and foreign protocols */
	struct event *tick;              /* wakes the loop for the handler's timers */
	uint64_t tick_at_us;
	struct event *relisten; /* after running out of descriptors */
	uint64_t accept_warned_us;
	struct event *signals[8];
	unsigned signal_count;
	bool stopped;
	uint64_t now_us;      /* when the turn began to work */
	unsigned share_us;    /* time for one connection's requests in a turn */
	bool awake;           /* the turn has begun to work */
	bool put_off;         /* the last turn skipped `later` */
	bool handshakes_full; /* TLS listeners wait until a handshake ends */
	bool accept_paused;
	uint64_t next_sweep_us;
	struct conn *sweep_at;   /* the next to check; NULL: all were checked */
	uint64_t drain_until_us; /* 0: not draining */
	struct net_figures figures;
	char scratch[STREAM_ROOM_BYTES];
};

/* Data that only some connections need; freed when none of it is needed any more. */
struct conn_extra {
	struct conn *conn;
	TAILQ_ENTRY(conn_extra) handshake; /* in CONN_SECURING */
	uint64_t opened_us;
	uint64_t unauthenticated_us; /* without a request or a login since; 0: had both */
	char *proxied_address;       /* from a PROXY header; NULL: the socket's own */
};

/* A connection whose socket belongs to this loop. */
struct conn_here {
	struct stream stream;
	void *parser; /* of parser_service; NULL: between requests */
	struct unparsed *unparsed;
};

/* A connection whose socket belongs to another loop. */
struct conn_there {
	struct io_link *link;
	struct io_requests *requests; /* reported by the link, owned; NULL: none */
	size_t held_bytes;            /* of an incomplete request, as the link last reported */
	size_t room_bytes;
	int fd;
};

struct conn {
	struct net *net;
	union {
		struct conn_here here;
		struct conn_there there; /* has_link */
	};
	struct outbox *outbox; /* the client's */
	void *client;
	struct conn_extra *extra; /* NULL: not needed */
	TAILQ_ENTRY(conn) all;
	TAILQ_ENTRY(conn) flush; /* in flush_queue */
	TAILQ_ENTRY(conn) work;  /* in work_queue */
	uint64_t read_bytes;
	uint64_t written_bytes;
	uint64_t active_us;  /* the last byte was read or written */
	const char *reason;  /* why it is closed; NULL: open, or it finished */
	uint32_t stuck_ms;   /* since when it waits for the peer to take bytes; 0: it does not */
	uint32_t queued_us;  /* since when output waits to be flushed; 0: none waits */
	uint32_t partial_ms; /* since when a request is incomplete; 0: none is */
	struct address_key key;
	uint8_t state;          /* enum conn_state; changed by conn_become() only */
	uint8_t output;         /* enum conn_output */
	uint8_t end_watch;      /* enum conn_end_watch */
	uint8_t work_queue;     /* enum conn_work */
	uint8_t flush_queue;    /* enum conn_flush */
	uint8_t loop;           /* index of the loop that has its link */
	uint8_t service;        /* index in the net's services */
	uint8_t parser_service; /* differs from service while a request switches it */
	bool has_link : 1;
	bool may_switch : 1; /* in a request with ends_batch */
	bool eof : 1;        /* the peer has sent its last byte */
	bool subscriber : 1;
	bool expects_output : 1; /* more output will be queued later */
	bool unauthenticated : 1;
	bool asked : 1; /* has sent a complete request */
	bool is_unix : 1;
	bool discarded : 1; /* input was discarded: linger */
	bool discards : 1;  /* further input is discarded, without lingering for it */
};

/* Idle connections should take little memory. */
_Static_assert(sizeof(struct conn) <= 320, "struct conn has outgrown its size class");

/* conn.c */

/* Takes fd, and the count that address_limits_admit() gave counted. */
void conn_open(
    struct net *net, int fd, const struct net_peer *peer, const struct address_key *counted);
void conn_reap(struct conn *conn); /* dead: tells the service; freed if its link has stopped */
void conn_become(struct conn *conn, enum conn_state state); /* a state that may follow */
struct io_link *conn_link(const struct conn *conn);         /* NULL: this loop has the socket */
struct net_loop *conn_loop(const struct conn *conn);        /* NULL: the main loop */
int conn_fd(const struct conn *conn);
void conn_watch(struct conn *conn, bool on);             /* its socket, unless a link has it */
void conn_refuse(struct conn *conn, const char *reason); /* as conn_kill, and logs it */
void conn_end(struct conn *conn);                        /* all its output was written */
void conn_hold(struct conn *conn, enum request_verdict verdict); /* verdict is not REQUEST_NEXT */
void conn_peer_ended(void *conn);                                /* callback of the end_watch */

static inline const struct net_service *
conn_service(const struct conn *conn)
{
	return &conn->net->services[conn->service];
}

static inline bool
conn_is_open(const struct conn *conn)
{
	return conn_state_is_open((enum conn_state)conn->state);
}

static inline bool
conn_is_held(const struct conn *conn)
{
	return conn_state_is_held((enum conn_state)conn->state);
}

/* conn_limits.c */
void conn_sweep(struct conn *conn, uint64_t now_us);       /* time limits */
void conn_check_login(struct conn *conn, uint64_t now_us); /* the time limit for the login */
void conn_begin_limits(struct conn *conn, const struct net_peer *peer);
void conn_end_limits(struct conn *conn);
void conn_has_requested(struct conn *conn); /* one of its requests was passed to the service */
/* Its input was handled as far as possible: starts or ends the time limit for its next request. */
void conn_time_request(struct conn *conn);
void conn_check_handshakes(struct net *net); /* kills handshakes that are too slow or too many */
/* Its TLS handshake has ended: lets waiting connections begin theirs. */
void conn_handshake_over(struct conn *conn);
/* Its TLS handshake has succeeded. Takes user, the name in the client's certificate, or NULL. */
void conn_secured(struct conn *conn, char *user, bool is_resumed);
bool conn_is_unauthenticated(const struct conn *conn); /* no request yet, or no login */

/* conn_queues.c */
void conn_work_add(struct conn *conn, enum conn_work queue); /* unless it is in a queue */
void conn_work_remove(struct conn *conn);
void conn_flush_move(struct conn *conn, enum conn_flush queue); /* from its present queue */

/* conn_input.c */
void conn_process(struct conn *conn);    /* handles a share of its requests */
void conn_drop_input(struct conn *conn); /* answers no more requests */
void conn_release_parser(struct conn *conn);
bool conn_has_partial_request(const struct conn *conn); /* it waits for the rest of one */
size_t conn_input_bytes(const struct conn *conn);
size_t conn_input_room_bytes(const struct conn *conn);
void conn_was_read(struct conn *conn, const struct io_report *report); /* by its link */
extern const struct stream_handler conn_stream_handler;

/* conn_output.c */
void conn_flush(struct conn *conn);
void conn_was_written(struct conn *conn, const struct io_report *report); /* by its link */
void conn_is_writable(struct conn *conn);

/* net_loops.c */
void net_loops_open(struct net *net);   /* as many as configured; logs a failure */
void net_loops_send(struct net *net);   /* sends their orders; at the end of a turn */
void net_loops_settle(struct net *net); /* the same, and waits for a report */
void net_loops_close(struct net *net);  /* there must be no connections */

/* Must be called first in each callback of the loop: starts the clock of a turn. */
void net_wake(struct net *net);
/* True if the turn has spent enough time on accepting connections. */
bool net_accepts_long(const struct net *net);

#endif
