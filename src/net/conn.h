#ifndef NET_CONN_H
#define NET_CONN_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/rate_limit.h"
#include "net/end_watch.h"
#include "net/io_loop.h"
#include "net/net.h"
#include "net/parser_pool.h"
#include "net/stream.h"

/*
 * What the files of the net layer share: the bodies of struct net and struct conn. For this layer
 * only.
 */
struct greeting;
struct listener;

TAILQ_HEAD(conns, conn);
TAILQ_HEAD(greetings, greeting);
TAILQ_HEAD(listeners, listener);

/* Written to one connection before the others have their turn; a socket may take megabytes at once.
 */
#define NET_FLUSH_BYTES ((size_t)262144)

/* The main loop's half of one of several loops. */
struct net_loop {
	struct io_loop *io;
	struct net_loop_figures figures;
	struct conns dirty;  /* its subscribers whose outboxes are to flush, as in struct net */
	struct conns flying; /* ... for whom it writes, since the longest for the first */
	unsigned flying_count;
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
	struct conns answers;     /* outboxes to flush: of those who only get replies */
	struct conns dirty;       /* ... and of subscribers, the longest queued first */
	struct conns ready;       /* to be read, or requests wait in the input buffer */
	struct conns later;       /* the same, of newcomers and leavers: see conn_input.c */
	struct conns closing;     /* dead, freed at the end of the turn */
	struct conns handshaking; /* in the TLS handshake, the oldest first */
	size_t handshaking_count;
	bool handshakes_full; /* TLS listeners wait for one of them to end */
	struct tls *tls;      /* for who comes on a TLS listener; NULL: none was set */
	uint64_t expiry_check_us;
	struct conns replying; /* other loops write for them, and they are no subscribers */
	struct net_loop loops[NET_LOOPS_MAX];
	unsigned loop_count; /* 0: this loop reads and writes itself */
	struct io_inbox inbox;
	struct event *inbox_event;
	struct end_watch *ends;       /* of those whose requests are held so that an end matters */
	struct io_limits loop_limits; /* that the loops were told */
	struct listeners listeners;
	struct address_limits *addresses; /* of each conn, until conn_free */
	struct greetings greetings;
	size_t greeting_count;
	size_t tls_greeting_count;       /* of these: they count as handshakes */
	struct rate_limit refusal_lines; /* errors to those who are not admitted */
	struct rate_limit refusal_logs; /* lines about those, and about who speaks something else */
	struct event *tick;             /* wakes the loop for the handler's timers */
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

enum conn_state {
	CONN_OPEN,
	CONN_FINISHING, /* no more requests; closes when nothing is owed any more */
	CONN_LINGERING, /* our side is shut; what the peer still sends is thrown away, so that a
			 * reset does not destroy the last reply on its way */
	CONN_DEAD,
};

struct conn {
	struct net *net;
	int fd;
	struct io_link *link; /* another loop's, which has the socket; NULL: stream has it */
	struct stream stream;
	void *parser;          /* of parser_service; NULL: between requests, or the link has it */
	struct outbox *outbox; /* the client's */
	void *client;
	TAILQ_ENTRY(conn) all;
	TAILQ_ENTRY(conn) flush;     /* in queue */
	struct conns *queue;         /* answers, dirty, replying, flying; NULL: nothing to flush */
	TAILQ_ENTRY(conn) work;      /* in work_queue */
	TAILQ_ENTRY(conn) handshake; /* while securing */
	struct conns *work_queue;    /* ready, later or closing of its net; NULL: nothing to do */
	uint8_t state;               /* enum conn_state */
	uint8_t loop;                /* which of the net's loops has its link */
	uint8_t service;
	uint8_t parser_service; /* another than service while a request switches */
	bool may_switch;        /* in a request with ends_batch */
	bool held;              /* the next request got NET_LATER or NET_BLOCKED */
	bool gives_up;          /* ... NET_BLOCKED */
	bool end_is_watched;    /* by the net's end_watch, which has not told yet */
	bool end_was_watched;   /* it knows the socket */
	bool resumed;           /* ... and may be tried again */
	bool choked;            /* requests wait: it does not read its replies */
	bool eof;               /* the peer will send no more */
	bool waits_writable;
	bool flying;  /* its link writes from the outbox, which stands until it has reported */
	bool stopped; /* its link has given its last report */
	bool subscriber;
	bool owing; /* its client is owed what the outbox does not show yet */
	bool unauthenticated;
	bool asked; /* a request came whole */
	bool is_unix;
	bool securing; /* in the TLS handshake */
	struct address_key key;
	char *proxied_address; /* NULL: the socket knows it */
	bool discarded;        /* input was thrown away: linger */
	struct buffer input;   /* read, and from input_at not yet parsed */
	size_t input_at;
	struct io_requests *requests; /* of its link, taken; NULL: none */
	size_t held_bytes; /* by the link, as it last said: of a request that is not complete */
	size_t room_bytes;
	uint64_t read_bytes;
	uint64_t written_bytes;
	uint64_t opened_us;
	uint64_t active_us;
	uint64_t unproven_us; /* no request came whole, or no login, since then; 0: both did */
	uint64_t queued_us;   /* what is to be flushed has waited since then; 0: nothing has */
	uint64_t stuck_us;    /* something waits for the peer to take bytes since then; 0: no */
	const char *reason;   /* why it is dead */
};

/* conn.c */

/* Takes fd, and the place that peer->key was given by the limits of addresses. */
void conn_open(struct net *net, int fd, const struct net_peer *peer);
void conn_bury(struct conn *conn); /* dead: tells the handler; frees it if its link is done */
void conn_sweep(struct conn *conn, uint64_t now_us);       /* time limits */
void conn_check_proof(struct conn *conn, uint64_t now_us); /* the one of who has not logged in */
void conn_enqueue(struct conn *conn, struct conns *queue); /* of work, unless it is in one */
void conn_dequeue(struct conn *conn);
void conn_queue(struct conn *conn, struct conns *queue); /* of flush; out of where it is */
struct net_loop *conn_loop(const struct conn *conn);     /* NULL: the main loop */
void conn_watch(struct conn *conn, bool on); /* its socket; nothing to do where a link has it */
void conn_refuse(struct conn *conn, const char *reason); /* as conn_kill, and logs it */
void conn_end(struct conn *conn);                        /* nothing is owed any more */
const struct net_service *conn_service(const struct conn *conn);
void conn_check_handshakes(struct net *net); /* kills those that take too long, or are too many */

/* The TLS handshake is done. Takes user, the name in the client's certificate, or NULL. */
void conn_secured(struct conn *conn, char *user, bool is_resumed);
void conn_hold(struct conn *conn, enum net_verdict verdict); /* which is not NET_NEXT */
void conn_peer_ended(void *conn);                            /* as the end_watch says */
void conn_has_asked(struct conn *conn);                      /* a request of it was handed over */

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

/* Each callback of the loop begins with it: a turn's clock starts when the loop wakes, not when it
 * fell asleep. */
void net_wake(struct net *net);

/* True once a turn has accepted long enough. */
bool net_accepts_long(const struct net *net);

#endif
