#ifndef NET_TESTING_NET_H
#define NET_TESTING_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "net/net.h"

/*
 * For tests of the net layer: a loop with a handler that does what requests tell it, and peers on
 * real sockets, all in one thread. A peer's socket never blocks: the loop runs until what is waited
 * for has come, and the test fails if that takes more than 20 s.
 *
 * Requests: ECHO text, BIG count, LATER ... (told to wait once, then echoed), WORK text and WORKBIG
 * count (they wait likewise and are resumed by themselves), SPIN us ... (takes at least so long,
 * then is echoed), FINISH count, KILL, SUBSCRIBE.
 */
struct rig_client {
	struct conn *conn; /* NULL when closed */
	const char *reason;
	struct outbox outbox;
	struct net_peer peer;
	char user[64];   /* that its certificate named; "": none */
	size_t named_at; /* how many of its requests had been handed over then */
	bool tried;      /* its request was told to wait ... */
	bool works;      /* ... and is resumed at the end of the turn */
	size_t handed;   /* requests, each time counted */
	size_t first_at; /* when its first and last request came, counted in requests of all */
	size_t last_at;
	size_t closed_at; /* when it was closed, counted in closings; 0: it is open */
};

struct rig_peer {
	int fd;
	struct buffer in;
	bool eof;
	int error; /* errno of a failed read */
};

#define RIG_CLIENTS_MAX 64

/* The services: RESP on the listener that is there, and lines that are echoed (testing_line.h). */
enum { RIG_RESP, RIG_LINE, RIG_SERVICES };

struct rig {
	struct net *net;
	struct net_config config;                    /* the net's; may be changed at any time */
	struct rig_client *clients[RIG_CLIENTS_MAX]; /* in the order of their opening */
	size_t client_count;
	size_t requests;
	size_t closings;
	bool kill_named;        /* a client whose certificate names a user is killed */
	bool refuse;            /* a new client gets an error and is finished at once */
	int send_buffer;        /* of connections to come, in bytes; 0: as it is */
	unsigned open_us;       /* how long the service takes to open a client ... */
	unsigned close_us;      /* ... and to close one */
	uint64_t wait_us;       /* what the handler's turn() asks for: how often is looked */
	unsigned interrupted;   /* SIGALRMs */
	size_t most_closings;   /* in one turn */
	size_t closings_before; /* ... the last one */
	unsigned most_writes;   /* that one of several loops had before it */
};
extern struct rig rig;

unsigned rig_loops(void); /* io_threads, from the environment: FANFARE_TEST_IO_THREADS */
void rig_setup(void);     /* with a listener on a free loopback port */
void rig_teardown(void);

/* Another listener, for TLS; its port. */
int rig_listen_tls(const struct tls_settings *settings);
int rig_listen_line(void); /* another one, for lines; its port */
void rig_set_tls(const struct tls_settings *settings);

void rig_until(bool (*is_so)(void *arg), void *arg);
void rig_for_ms(unsigned ms);
void rig_until_clients(size_t count); /* have come */
void rig_until_closed(struct rig_client *client);
void rig_until_connections(size_t count); /* are left */
void rig_until_handed(const struct rig_client *client, size_t handed);

struct rig_peer rig_socket(int receive_buffer); /* not connected; 0: the buffer as it is */
void rig_connect(struct rig_peer *peer);
void rig_connect_port(struct rig_peer *peer, int port);
struct rig_peer rig_dial(void);                           /* connected and accepted */
void rig_close(struct rig_peer *peer);                    /* may be called again */
void rig_send(struct rig_peer *peer, struct slice bytes); /* all of it, while the loop runs */
void rig_read(struct rig_peer *peer);                     /* what there is now */
void rig_until_read(struct rig_peer *peer, size_t len);   /* so much is in peer->in */
void rig_until_eof(struct rig_peer *peer); /* and the test fails where a reset came instead */

/* Sends the text and waits for exactly this answer, which is taken out of peer->in. */
void rig_ask(struct rig_peer *peer, const char *text, const char *answer);

#endif
