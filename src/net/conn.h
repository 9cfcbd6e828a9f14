#ifndef NET_CONN_H
#define NET_CONN_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/rate_limit.h"
#include "net/conn_state.h"
#include "net/end_watch.h"
#include "net/io_loop.h"
#include "net/net.h"
#include "net/parser_pool.h"
#include "net/stream.h"
#include "net/unparsed.h"

/*
 * What the files of the net layer share: the bodies of struct net and struct conn. For this layer
 * only.
 */
struct conn_extra;
struct proxy_pending;
struct listener;

TAILQ_HEAD(conns, conn);
TAILQ_HEAD(conn_extras, conn_extra);
TAILQ_HEAD(proxy_pendings, proxy_pending);
TAILQ_HEAD(listeners, listener);

/* Written to one connection before the others have their turn; a socket may take megabytes at once.
 */
#define NET_FLUSH_BYTES ((size_t)262144)

/* The main loop's half of one of several loops. */
struct net_loop {
	struct io_loop *io;
	struct net_loop_figures figures;
	struct conns messages;  /* its subscribers whose outboxes are to flush, as in struct net */
	struct conns in_flight; /* ... for which it writes, the oldest write first */
	unsigned in_flight_count;
};

struct net {
	const struct net_config *config;    /* borrowed */
	const struct net_service *services; /* borrowed */
	unsigned service_count;
	const struct protocol *protocols[NET_SERVICES_MAX]; /* of each service */
	struct parser_pool parsers;
	struct net_handler handler;
	void *arg;
	struct event_base *base;
	struct conns all;
	struct conns replies;  /* outboxes to flush: of connections that only get replies */
	struct conns messages; /* ... and of subscribers, the longest queued first */
	struct conns ready;    /* to be read, or their requests wait */
	struct conns later;    /* the same, of new and closing connections: see conn_input.c */
	struct conns closing;  /* dead, freed at the end of the turn */
	struct conn_extras handshaking; /* in the TLS handshake, the oldest first */
	size_t handshaking_count;
	bool handshakes_full; /* TLS listeners wait for one of them to end */
	struct tls *tls;      /* for new connections on TLS listeners; NULL: none was set */
	uint64_t expiry_check_us;
	struct conns replies_in_flight; /* other loops write for them, which are no subscribers */
	struct net_loop loops[NET_LOOPS_MAX];
	unsigned loop_count; /* 0: this loop reads and writes itself */
	struct io_inbox inbox;
	struct event *inbox_event;
	struct end_watch *ends;       /* of connections in CONN_BLOCKED */
	struct io_limits loop_limits; /* that the loops were told */
	struct listeners listeners;
	struct address_limits *addresses; /* of each conn, until conn_free */
	struct proxy_pendings proxy_pending;
	size_t proxy_pending_count;
	size_t proxy_pending_tls_count;  /* of these: they count as handshakes */
	struct rate_limit refusal_lines; /* notices to connections that are refused */
	struct rate_limit refusal_logs;  /* log lines about them, and about foreign protocols */
	struct event *tick;              /* wakes the loop for the handler's timers */
	uint64_t tick_at_us;
	struct event *relisten; /* after running out of descriptors */
	bool accept_paused;
	uint64_t accept_warned_us;
	struct event *signals[8];
	unsigned signal_count;
	struct event *awaited; /* net_await; NULL: nothing is */
	void (*await_done)(void *arg, bool readable);
	void *await_arg;
	uint64_t now_us;   /* when the turn began to work */
	unsigned share_us; /* one connection's requests hold up the others so long in a turn */
	bool awake;        /* ... which it has */
	bool put_off;      /* the last turn did nothing of `later` */
	uint64_t next_sweep_us;
	struct conn *sweep_at;   /* the next to be looked at; NULL: all were */
	uint64_t drain_until_us; /* 0: not draining */
	bool stopped;
	struct net_figures figures;
	char scratch[STREAM_ROOM_BYTES];
};

/* What only some connections need; it goes when nothing of it is needed any more. */
struct conn_extra {
	struct conn *conn;
	TAILQ_ENTRY(conn_extra) handshake; /* in CONN_SECURING */
	uint64_t opened_us;
	uint64_t unauthenticated_us; /* no request came whole, or no login, since then; 0: both did
				      */
	char *proxied_address;       /* what a balancer said; NULL: the socket knows it */
};

/* A connection whose socket this loop has. */
struct conn_here {
	struct stream stream;
	void *parser; /* of parser_service; NULL: between requests */
	struct unparsed *unparsed;
};

/* One whose socket another loop has. */
struct conn_there {
	struct io_link *link;
	struct io_requests *requests; /* of the link, taken; NULL: none */
	size_t held_bytes; /* by the link, as it last said: of a request that is not complete */
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
	struct conn_extra *extra; /* NULL: nothing of it is needed */
	TAILQ_ENTRY(conn) all;
	TAILQ_ENTRY(conn) flush; /* in flush_queue */
	TAILQ_ENTRY(conn) work;  /* in work_queue */
	uint64_t read_bytes;
	uint64_t written_bytes;
	uint64_t active_us; /* the last byte was read or written */
	const char *reason; /* why it is closed; NULL: it is not, or has just finished */
	uint32_t stuck_ms;  /* something waits for the peer to take bytes since then; 0: no */
	uint32_t queued_us; /* what is to be flushed has waited since then; 0: nothing has */
	struct address_key key;
	uint8_t state;          /* enum conn_state; changed by conn_become() only */
	uint8_t output;         /* enum conn_output */
	uint8_t end_watch;      /* enum conn_end_watch */
	uint8_t work_queue;     /* enum conn_work */
	uint8_t flush_queue;    /* enum conn_flush */
	uint8_t loop;           /* which of the net's loops has its link */
	uint8_t service;        /* index in the net's services */
	uint8_t parser_service; /* another than service while a request switches */
	bool has_link : 1;
	bool may_switch : 1; /* in a request with ends_batch */
	bool eof : 1;        /* the peer will send no more */
	bool subscriber : 1;
	bool expects_output : 1; /* its client will get more than the outbox shows */
	bool unauthenticated : 1;
	bool asked : 1; /* a request came whole */
	bool is_unix : 1;
	bool discarded : 1; /* input was thrown away: linger */
};

/* A broker is measured by what an idle connection takes. */
_Static_assert(sizeof(struct conn) <= 320, "struct conn has outgrown its size class");

/* conn.c */

/* Takes fd, and the place that peer->key was given by the limits of addresses. */
void conn_open(struct net *net, int fd, const struct net_peer *peer);
void conn_reap(struct conn *conn); /* dead: tells the service; frees it if its link is done */
void conn_become(struct conn *conn, enum conn_state state); /* which may follow its state */
struct io_link *conn_link(const struct conn *conn);         /* NULL: this loop has the socket */
struct net_loop *conn_loop(const struct conn *conn);        /* NULL: the main loop */
int conn_fd(const struct conn *conn);
void conn_watch(struct conn *conn, bool on); /* its socket; nothing to do where a link has it */
void conn_refuse(struct conn *conn, const char *reason);         /* as conn_kill, and logs it */
void conn_end(struct conn *conn);                                /* its output has been written */
void conn_hold(struct conn *conn, enum request_verdict verdict); /* which is not REQUEST_NEXT */
void conn_peer_ended(void *conn);                                /* as the end_watch says */

static inline const struct net_service *
conn_service(const struct conn *conn)
{
	return &conn->net->services[conn->service];
}

static inline uint32_t
conn_ms(uint64_t now_us)
{
	return (uint32_t)(now_us / 1000);
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
void conn_check_login(struct conn *conn, uint64_t now_us); /* the one before authentication */
void conn_begin_limits(struct conn *conn, const struct net_peer *peer);
void conn_end_limits(struct conn *conn);
void conn_has_asked(struct conn *conn);      /* a request of it was handed over */
void conn_check_handshakes(struct net *net); /* kills those that take too long, or are too many */
/* The TLS handshake is over: counts it, and lets others begin theirs. */
void conn_handshake_over(struct conn *conn);
/* It is done. Takes user, the name in the client's certificate, or NULL. */
void conn_secured(struct conn *conn, char *user, bool is_resumed);
bool conn_is_unauthenticated(const struct conn *conn); /* no request came whole, or no login */

/* conn_queues.c */
void conn_work_add(struct conn *conn, enum conn_work queue); /* unless it is in one */
void conn_work_remove(struct conn *conn);
void conn_flush_move(struct conn *conn, enum conn_flush queue); /* out of where it is */

/* conn_input.c */
void conn_process(struct conn *conn);    /* requests of its input, one share of them */
void conn_drop_input(struct conn *conn); /* no request of it is to be answered any more */
void conn_release_parser(struct conn *conn);
size_t conn_input_bytes(const struct conn *conn);
size_t conn_input_room_bytes(const struct conn *conn);
void conn_was_read(struct conn *conn, const struct io_report *report); /* by its link */
extern const struct stream_handler conn_stream_handler;

/* conn_output.c */
void conn_flush(struct conn *conn);
void conn_was_written(struct conn *conn, const struct io_report *report); /* by its link */
void conn_is_writable(struct conn *conn);

/* net_loops.c */
void net_loops_open(struct net *net);   /* as many as the configuration says; logs what fails */
void net_loops_send(struct net *net);   /* what they are to do; at the end of a turn */
void net_loops_settle(struct net *net); /* the same, and waits for a report */
void net_loops_close(struct net *net);  /* no connection is left */

/* The first call in each callback: a turn's clock starts when the loop wakes up. */
void net_wake(struct net *net);
/* True once a turn has accepted long enough. */
bool net_accepts_long(const struct net *net);

#endif
