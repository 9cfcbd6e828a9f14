#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/eviction_policy.h"
#include "kv/limits.h"
#include "pubsub/hub.h"
#include "pubsub/outbox.h"

/*
 * Server: clients, commands, statistics.
 *
 * Requests come in as slices, replies go to the client's outbox. It knows no socket: what it wants
 * of a connection it asks for through struct server_io, what it wants of the configuration through
 * struct server_settings; both are filled in by app, or by a test.
 */
struct buffer;
struct server;
struct client;
struct command_table;

/* What the server may ask of the one who carries its clients. `conn` is what server_open was given.
 */
struct server_io_figures {
	uint64_t accepted, refused_fds, read_bytes, written_bytes, turns, longest_turn_us,
	    closed_stalled, closed_idle, refused_address_count, refused_address_rate, refused_proxy,
	    closed_unproven, refused_unproven, tls_handshakes, tls_resumed, tls_failed;
	size_t addresses, greetings, unproven, tls_handshaking;
	int64_t tls_expires; /* Unix time; 0: no TLS */
};

struct server_conn_figures {
	size_t input_bytes, input_room_bytes;
	uint64_t read_bytes, written_bytes;
	bool readable, writable;
	int fd;
	unsigned loop; /* of several, the one that reads and writes for it */
};

struct server_loop_figures {
	size_t clients;
	uint64_t read_bytes, written_bytes, cpu_us;
};

struct server_io {
	void (*ready)(void *conn);
	void (*resume)(void *conn);
	void (*finish)(void *conn);
	void (*kill)(void *conn, const char *reason);
	void (*set_unauthenticated)(void *conn, bool unauthenticated);
	void (*set_subscriber)(void *conn, bool subscriber);
	void (*set_owing)(
	    void *conn, bool owing); /* more will come to its outbox, though it ends */
	void (*conn_figures)(void *conn, struct server_conn_figures *figures);
	void (*figures)(void *arg, struct server_io_figures *figures);
	/* False if there is no such loop; there is none where the main loop does all. */
	bool (*loop_figures)(void *arg, unsigned loop, struct server_loop_figures *figures);
	void (*reset_figures)(void *arg);
	void (*shutdown)(void *arg, bool now); /* now: without flushing what is owed */
	/* SHUTDOWN GRACE and SHUTDOWN ABORT: whoever carries the clients stops accepting and calls
	 * server_lame_duck, or accepts again and calls server_lame_duck_cancel. False: why in
	 * error, without "ERR "; nothing changed. */
	void (*lame_duck)(void *arg, uint32_t window_s);
	bool (*lame_duck_abort)(void *arg, char *error, size_t error_len);
	void (*parted)(void *arg); /* the lame duck is over: what is left is to be closed */
	void *arg;
};

enum server_setting {
	SERVER_SETTING_DONE,
	SERVER_SETTING_REFUSED,
	SERVER_SETTING_LATER, /* the same again when server_disk_ended() is called */
};

struct server_settings {
	/* Every directive with its value, as CONFIG GET shows it. */
	void (*each)(void *arg, void (*visit)(void *visit_arg, const char *name, const char *value),
	    void *visit_arg);
	/* pairs of name and value: all are set or none; then REFUSED and why in error, worded as
	 * Redis words it
	 * ("Unknown option or number of arguments for CONFIG SET - 'x'",
	 * "CONFIG SET failed (possibly related to argument 'x') - argument must be ..."), without
	 * "ERR ". *attempt is 0 at first and kept by the caller until it is not LATER; NULL: the
	 * caller cannot wait. */
	enum server_setting (*set)(void *arg, const struct slice *pairs, size_t pair_count,
	    uint64_t *attempt, char *error, size_t error_len);
	bool (*rewrite)(void *arg, char *error, size_t error_len);
	const char *(*file)(void *arg);     /* path of the configuration file, "" if none */
	const char *(*acl_file)(void *arg); /* path of the file of users, "" if none */
	/* That file's text, appended; and the same replaced as a whole. False: error says why. */
	bool (*acl_read)(void *arg, struct buffer *text, struct buffer *error);
	bool (*acl_write)(void *arg, struct slice text, struct buffer *error);
	void *arg;
};

/* client-output-buffer-limit of one class. */
struct server_buffer_limit {
	size_t hard_bytes; /* 0: none */
	size_t soft_bytes; /* 0: none */
	uint32_t soft_s;
};

enum server_class { SERVER_CLASS_NORMAL, SERVER_CLASS_REPLICA, SERVER_CLASS_PUBSUB };
#define SERVER_CLASSES 3

struct server_config {
	uint32_t maxclients;
	const char *requirepass;     /* of the user default; "" or NULL: none */
	uint32_t acl_pubsub_default; /* 1: new users may hear all channels */
	uint32_t acllog_max_len;
	uint32_t auth_delay_max_ms; /* 0: wrong passwords cost no time */
	bool protected_mode;
	uint32_t databases;  /* SELECT 0 .. databases-1 */
	struct kv_limits kv; /* up to where collections are packed */
	struct hub_limits hub;
	struct outbox_limits outbox; /* the defaults, and the most a client may choose */
	uint32_t outbox_block_timeout_ms;
	size_t segment_bytes;
	struct server_buffer_limit buffer_limit[SERVER_CLASSES];
	int64_t slowlog_slower_than_us; /* -1: off, 0: every command */
	uint32_t slowlog_max_len;
	size_t proto_max_bulk_bytes; /* also the most that one message may hold */
	uint32_t timeout_s;          /* for INFO */
	size_t query_buffer_bytes;   /* for INFO; also the most that one transaction may hold */
	uint32_t transaction_commands;
	uint32_t watched_keys;  /* per client */
	size_t maxmemory_bytes; /* of the keyspace; 0: no limit */
	struct kv_eviction_rules evict;
	uint32_t debug_command; /* enum server_debug: who may call DEBUG */
	uint32_t notify_events; /* see notify.h */
	uint32_t shutdown_timeout_s;
	uint32_t shutdown_grace_s; /* of a lame duck by signal; 0: none */
	int port;                  /* for INFO */
};

/* In the order of enable-debug-command's choices. */
enum server_debug { SERVER_DEBUG_NO, SERVER_DEBUG_YES, SERVER_DEBUG_LOCAL };

enum server_verdict {
	SERVER_NEXT,
	SERVER_LATER,   /* not executed; hand it over again after io.resume(conn) */
	SERVER_BLOCKED, /* the same; but if the peer closes meanwhile it does not want it any more
			 */
};

/* Borrows all four; config's values may change at any time, then server_reconfigured. now_us is
 * monotonic throughout. */
struct server *server_new(const struct server_config *config, const struct command_table *commands,
    const struct server_io *io, const struct server_settings *settings);
void server_free(struct server *server); /* no client is left */
void server_reconfigured(struct server *server);

/*
 * The client is this user from now on, whom someone else has vouched for (a certificate). False:
 * there is no such user, he is off, or has as many connections as he may; nothing is changed.
 */
bool server_log_in(struct client *client, struct slice user) __attribute__((warn_unused_result));

/*
 * All users anew, from lines "user NAME rules ..."; path is for errors, config is what is in force
 * or will be next. Clients whose user is gone, or that hear what he no longer may, are closed.
 * False: error says what is wrong and where, and nothing is changed.
 */
bool server_load_users(struct server *server, struct slice text, const char *path,
    const struct server_config *config, struct buffer *error) __attribute__((warn_unused_result));
/* Appends what that reads; without_default: without the line of the user default, where he is as
 * requirepass alone makes him. */
void server_describe_users(const struct server *server, bool without_default, struct buffer *out);

#define SERVER_ORIGIN_MAX 16

struct server_peer {
	const char *address;       /* copied */
	const char *local_address; /* copied */
	struct slice origin;       /* equal for those who count as one; copied, SERVER_ORIGIN_MAX */
	bool is_loopback;
	bool is_unix;
};

/*
 * A client came. Past maxclients, or against protected mode, it gets Redis's error and io.finish;
 * it is a client all the same until server_closed.
 */
struct client *server_open(struct server *server, void *conn, const struct server_peer *peer);
struct outbox *server_outbox(struct client *client); /* where it is owed what */
enum server_verdict server_request(struct client *client, const struct slice *args, size_t count)
    __attribute__((warn_unused_result));
void server_broken(
    struct client *client, const char *error); /* protocol error: the reply is queued */
void server_closed(struct client *client, const char *reason);

/* Once a turn: timers and work in slices for at most budget_us. Returns in how many us it wants the
 * next call; 0: at once. */
uint64_t server_turn(struct server *server, uint64_t now_us, uint64_t budget_us);
void server_flushed(struct server *server); /* once a turn, after the flush */

/*
 * From now on clients are closed, spread evenly over window_s, which is not 0; who asked for it is
 * told before. Then, or as soon as there are none, io.parted is called. Where it goes on already,
 * it begins anew with the clients that are left.
 */
void server_lame_duck(struct server *server, uint32_t window_s);

/* The clients that are left stay. False if there is none to cancel. */
bool server_lame_duck_cancel(struct server *server);

#endif
