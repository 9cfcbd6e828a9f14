#ifndef NET_TESTING_NET_H
#define NET_TESTING_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "net/net.h"

/*
 * For tests of the net layer: a loop with a service that carries out test requests, and peers on
 * real sockets, all in one thread. A peer's socket never blocks: a function that waits runs the
 * loop until its condition holds, and the test fails if that takes more than 20 s.
 *
 * Requests: ECHO text, BIG count, LATER ... (gets REQUEST_LATER once, then is echoed), WORK text
 * and WORKBIG count (the same, but they are resumed at the end of the turn), SPIN us ... (takes at
 * least so long, then is echoed), FINISH count, KILL, SUBSCRIBE.
 */
struct rig_client {
	struct conn *conn; /* NULL when closed */
	const char *reason;
	struct outbox outbox;
	struct net_peer peer;
	char user[64];   /* from its certificate; "": none */
	size_t named_at; /* number of its requests before identified() was called */
	bool tried;      /* its request got REQUEST_LATER ... */
	bool works;      /* ... and is resumed at the end of the turn */
	size_t handed;   /* calls of request(), repeated ones included */
	size_t first_at; /* number of all requests when its first and its last one were handled */
	size_t last_at;
	size_t closed_at; /* number of closed clients when it was closed; 0: it is open */
};

struct rig_peer {
	int fd;
	struct buffer in;
	bool eof;
	int error; /* errno of a failed read */
};

#define RIG_CLIENTS_MAX 64

/* The services: RESP on the rig's first listener, and lines that are echoed (testing_line.h). */
enum { RIG_RESP, RIG_LINE, RIG_SERVICES };

struct rig {
	struct net *net;
	struct net_config config;                    /* the net's; may be changed at any time */
	struct rig_client *clients[RIG_CLIENTS_MAX]; /* in the order in which they were opened */
	size_t client_count;
	size_t requests;
	size_t requests_at_turn; /* when the handler's turn() was called last */
	size_t closings;
	bool kill_named;        /* a client whose certificate names a user is killed */
	bool refuse;            /* a new client gets an error and is finished at once */
	int send_buffer;        /* of new connections, in bytes; 0: the default */
	unsigned open_us;       /* how long the service takes to open a client ... */
	unsigned close_us;      /* ... and to close one */
	uint64_t wait_us;       /* result of the handler's turn() */
	unsigned interrupted;   /* number of SIGALRMs */
	size_t most_closings;   /* the most clients closed in one turn */
	size_t closings_before; /* clients closed before this turn */
	unsigned most_writes;   /* the most writes that an I/O loop had at a time */
};
extern struct rig rig;

unsigned rig_loops(void); /* io_threads, from the environment: FANFARE_TEST_IO_THREADS */
void rig_setup(void);     /* with a listener on a free loopback port */
void rig_teardown(void);

/* Adds a listener for TLS; returns its port. */
int rig_listen_tls(const struct tls_settings *settings);
int rig_listen_line(void);     /* adds a listener for lines; returns its port */
int rig_listen_line_tls(void); /* the same over TLS, after rig_listen_tls() */
void rig_set_tls(const struct tls_settings *settings);

void rig_until(bool (*is_so)(void *arg), void *arg);
void rig_for_ms(unsigned ms);

/* Waits for a period of ms with at most so many turns. One is enough: the loop may have much to do
 * first, and a busy machine makes a period longer. */
void rig_until_calm(unsigned ms, unsigned turns);

void rig_until_clients(size_t count); /* count clients were opened */
void rig_until_closed(struct rig_client *client);
void rig_until_connections(size_t count); /* count connections are left */
void rig_until_handed(const struct rig_client *client, size_t handed);

struct rig_peer rig_socket(int receive_buffer); /* not connected; 0: the default buffer */
void rig_connect(struct rig_peer *peer);
void rig_connect_port(struct rig_peer *peer, int port);
struct rig_peer rig_dial(void);                           /* connected and accepted */
void rig_close(struct rig_peer *peer);                    /* may be called again */
void rig_send(struct rig_peer *peer, struct slice bytes); /* all of it, while the loop runs */
void rig_read(struct rig_peer *peer);                     /* the bytes that have arrived */
void rig_until_read(struct rig_peer *peer, size_t len);   /* at least len bytes are in peer->in */
void rig_until_eof(struct rig_peer *peer); /* the test fails if there is a reset instead */

/* Sends the text and waits for exactly this answer, which is removed from peer->in. */
void rig_ask(struct rig_peer *peer, const char *text, const char *answer);

#endif
