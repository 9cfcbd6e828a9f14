#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/net_figures.h"
#include "base/protocol.h"
#include "base/request_verdict.h"
#include "net/address_limits.h"
#include "net/tls.h"
#include "pubsub/outbox.h"

/*
 * Net: the event loop, listeners and connections.
 *
 * A turn of the loop reads from readable sockets, at most a share from each connection, passes the
 * requests to their services, and then flushes the outboxes that have output, each once, as far as
 * its time allows. A connection ends in one function, with a reason. Net does not know commands or
 * protocols: it passes bytes to a table of operations (base/protocol.h), and requests to a service.
 */
struct net;
struct conn;
struct task;

struct net_peer {
	char address[64];       /* "127.0.0.1:50412", "[::1]:50412", "/path/of/socket:0" */
	char local_address[64]; /* a long path is truncated */
	bool is_loopback;       /* or a Unix socket */
	bool is_unix;
	bool is_tls;
	bool is_proxied; /* the addresses are from a PROXY header */
	int fd;
	unsigned service;       /* the listener's */
	struct address_key key; /* the key for the address limits */
};

/* A service: the protocol of a listener, and the functions that answer its requests. */
struct net_service {
	const struct protocol *protocol;
	/* A connection was accepted. Returns the client that the other calls get and sets *outbox
	 * (both borrowed until closed()). */
	void *(*open)(
	    void *arg, struct conn *conn, const struct net_peer *peer, struct outbox **outbox);
	enum request_verdict (*request)(void *client, const struct slice *args, size_t count);
	/* The input is invalid. Sends the error to the peer, in its protocol; the connection then
	 * ends as by conn_finish. */
	void (*broken)(void *client, const char *error);
	/* A verified client certificate names this user; before the first request. NULL if no
	 * certificate is requested. */
	void (*identified)(void *client, const char *user);
	void (*closed)(void *client, const char *reason); /* last call for this client */
	/* Over TLS no certificate is requested, whatever the settings are: browsers would ask
	 * their users for one. */
	bool without_client_certificates;
	/* Its peers in net_config.shared_from are not subject to the limits by address. */
	bool has_shared_peers;
};

/* Connections name their service by its index. */
#define NET_SERVICES_MAX 4

/* Callbacks that do not depend on a service. */
struct net_handler {
	/*
	 * Called once a turn, before the flush: timers, and work in slices, for at most budget_us.
	 * Returns the time in us after which it must be called again at the latest; 0: at once,
	 * because there is more to do.
	 */
	uint64_t (*turn)(void *arg, uint64_t now_us, uint64_t budget_us);
	void (*flushed)(void *arg); /* once a turn, after the flush */
	void (*signalled)(void *arg, int signal);
};

#define NET_PROXY_FROM_MAX 64

/* Time limits for the connections of a service, while it has them. */
struct net_times {
	uint32_t idle_s;    /* without a byte in either direction; 0: none; not for subscribers */
	uint32_t request_s; /* from the first byte of a request to its last; 0: none */
};

struct net_config {
	struct protocol_limits limits[NET_SERVICES_MAX]; /* of each service */
	struct net_times times[NET_SERVICES_MAX];        /* the same */
	size_t read_share_bytes; /* about so many bytes of one connection are parsed in a turn */
	uint32_t
	    reply_pause_bytes; /* bytes of queued replies at which a connection's requests wait */
	uint32_t stall_timeout_s; /* a peer is closed if it reads nothing for this long while its
				     requests, or the closing, wait for that */
	uint32_t tls_handshake_timeout_s; /* at least 1 */
	uint32_t tls_max_handshakes;      /* at the same time; further connections wait */
	uint32_t auth_timeout_s;          /* to send the first request and to log in; 0: no limit */
	uint32_t unauthenticated_max;     /* at the same time; 0: no limit */
	uint32_t tcp_keepalive_s;         /* 0: off */
	uint32_t tcp_user_timeout_ms;     /* of subscribers; 0: the system's */
	int tcp_backlog;
	struct address_limits_config addresses;
	bool proxy_protocol; /* connections from these networks begin with a PROXY header */
	struct address_network proxy_from[NET_PROXY_FROM_MAX];
	size_t proxy_from_count;
	/* Addresses from which the connections of many clients come: see has_shared_peers. */
	struct address_network shared_from[NET_PROXY_FROM_MAX];
	size_t shared_from_count;
	unsigned io_threads; /* loops that read, parse and write, 1 to NET_LOOPS_MAX; 1: the main
				loop. Read when net_run begins */
};

#define NET_LOOPS_MAX 64

/* Borrows config, whose values may change at any time, and services, of which there are 1 to
 * NET_SERVICES_MAX. Returns owned (net_free). Logs and returns NULL if libevent fails. */
struct net *net_new(const struct net_config *config, const struct net_service *services,
    unsigned service_count, const struct net_handler *handler, void *arg);
void net_free(struct net *net);

/* False with a message in error ("bind 127.0.0.1:6379: Address already in use"). host may be "*" or
 * "::*"-like wildcards as in redis.conf. */
bool net_listen_tcp(struct net *net, unsigned service, const char *host, int port, bool tls,
    char *error, size_t error_len) __attribute__((warn_unused_result));
bool net_listen_unix(struct net *net, unsigned service, const char *path, mode_t mode, char *error,
    size_t error_len) __attribute__((warn_unused_result));
/* Sets certificates and rules for new connections on TLS listeners. False with a message in error;
 * then the earlier ones stay. Call it before listening with tls. */
bool net_set_tls(struct net *net, const struct tls_settings *settings, char *error,
    size_t error_len) __attribute__((warn_unused_result));
void net_take_tls(struct net *net, struct tls *tls); /* the same with existing ones; takes tls */
/*
 * A listener that is passed to another process. Its name is a word without a colon: the protocol's
 * name or tls_name, followed by "-passed" if the socket was passed by the process that started the
 * daemon, and not made by the daemon or its predecessor.
 */
struct net_listener {
	const char *name; /* borrowed from the listener */
	int fd;           /* borrowed */
	bool is_passed;
};

/* For callers of net_listeners(): usually there are no more. */
#define NET_LISTENERS_MAX 64

/* Returns the number of listeners. */
size_t net_listeners(const struct net *net, struct net_listener *out, size_t max);
/* Uses a listening socket that another process passed under this name. Takes fd. */
bool net_listen_named(struct net *net, int fd, struct slice name, char *error, size_t error_len)
    __attribute__((warn_unused_result));

void net_close_listeners(struct net *net); /* removes the socket files that it made */
void net_leave_listeners(struct net *net); /* closes them; another process has them as well */
int net_port(const struct net *net); /* of the first TCP listener, 0 if none: tests bind port 0 */

void net_watch_signal(struct net *net, int signal);

/* Calls readable in each turn in which fd is readable, or at its end, until net_unwatch. Borrows
 * fd. Returns owned; NULL if libevent fails. */
struct net_watch;
struct net_watch *net_watch(struct net *net, int fd, void (*readable)(void *arg), void *arg);
/* The same for each turn in which fd is writable. */
struct net_watch *net_watch_writable(
    struct net *net, int fd, void (*writable)(void *arg), void *arg);
void net_unwatch(struct net_watch *watch); /* NULL is allowed */

void net_run(struct net *net); /* until net_stop; it may be called again then */
void net_stop(struct net *net);

/* Stops accepting and reading, writes queued output for at most timeout_ms, then net_run returns.
 */
void net_drain(struct net *net, uint32_t timeout_ms);

/*
 * Counts something for an address as a connection from there is counted, until net_leave_address():
 * a client that shares the connections of a proxy. False, which is logged and counted, if the
 * limits by address do not allow one more.
 */
bool net_admit_address(struct net *net, const char *address, const struct address_key *key)
    __attribute__((warn_unused_result));
void net_leave_address(struct net *net, const struct address_key *key);

struct net_figures net_figures(const struct net *net);
void net_reset_figures(struct net *net);
unsigned net_loop_count(const struct net *net); /* 0: the main loop does all work itself */
struct net_loop_figures net_loop_figures(const struct net *net, unsigned loop);

/* For services. None of them frees the conn before the end of the turn. */
void conn_ready(struct conn *conn);  /* its outbox has something to flush */
void conn_resume(struct conn *conn); /* after REQUEST_LATER and REQUEST_BLOCKED */
void conn_finish(struct conn *conn); /* no more requests; writes the queued output, then closes */
void conn_kill(struct conn *conn, const char *reason); /* closes at once; reason is a literal */
void conn_set_unauthenticated(struct conn *conn, bool unauthenticated);
/*
 * Switches the connection to another service, which gets the same client and the bytes behind the
 * current request. Call it in request() only, for a request with ends_batch; request() must then
 * return REQUEST_NEXT.
 */
void conn_switch(struct conn *conn, unsigned service);
/*
 * The current request is the last one: bytes behind it are discarded, and only the end of the peer
 * is noticed. From then on the connection is never idle and gets no notice, because its output may
 * be in the middle of a reply. As for conn_switch(): in request() only, for a request with
 * ends_batch.
 */
void conn_discard_input(struct conn *conn);
void conn_set_subscriber(struct conn *conn, bool subscriber);
/* True: more output will be queued in later turns, so the connection does not finish before this is
 * set to false. */
void conn_set_expects_output(struct conn *conn, bool expects_output);

/*
 * Borrows task until done(): run() is called by the I/O thread of the connection, done() in a later
 * turn, even if the connection has ended before. False, and nothing happens: the main loop reads
 * the connection itself.
 */
bool conn_run_task(struct conn *conn, struct task *task) __attribute__((warn_unused_result));

struct conn_figures conn_figures(const struct conn *conn);

#endif
