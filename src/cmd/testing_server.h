#ifndef CMD_TESTING_SERVER_H
#define CMD_TESTING_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/request_verdict.h"
#include "server/server.h"

/*
 * For tests of server and cmd: a server whose connections are these structs. They record what the
 * server asked of them, and hand over a request again when they are resumed, as net does.
 */
#define TEST_ARGS_MAX 4096 /* of a line */

struct test_conn {
	struct client *client; /* NULL after test_close */
	struct slice *args;    /* owned */
	size_t argc;
	char *line;  /* owned; args point into it */
	bool later;  /* the request in args waits */
	int resumed; /* its number in the order of all resumptions; 0: not resumed */
	bool finished;
	bool unauthenticated;
	bool subscriber;
	const char *killed;        /* the reason, or NULL */
	const struct command *row; /* of its requests, if it has a door */
	/* In place of server_request(), if it is not NULL. */
	enum request_verdict (*request)(void *client, const struct slice *args, size_t count);
	bool switched; /* its protocol is `protocol` */
	enum server_protocol protocol;
	uint64_t active_us; /* for io.conn_figures */
	struct test_conn *next;
};

extern struct server *test_server;
extern struct server_config test_config; /* reset by test_setup */
extern int test_shutdowns;               /* calls of io.shutdown; 100 for each `now` */
extern int test_lame_duck_over;          /* calls of io.lame_duck_over */
extern bool test_abort_fails;            /* io.lame_duck_abort: "cannot listen" */
extern const char *test_acl_file;        /* aclfile; test_setup sets "" */
extern char test_acl_text[4096];         /* its contents, read and written */

void test_setup(void);
void test_teardown(void);  /* closes all connections and checks that nothing is left */
void test_close_all(void); /* closes all connections, and runs what has to end */

/* Options of the channels that match: "history-size 5 history-ttl 60". */
void test_channel_line(const char *glob, const char *options);

struct test_conn *test_open(void);
struct test_conn *test_open_from(const struct server_peer *peer);

/* A connection whose client and request the caller sets. */
struct test_conn *test_conn_new(void);

extern const struct server_peer test_loopback;

/* A client with a door; peer NULL: on loopback, and protected mode does not apply to it. */
struct test_conn *test_open_door(const struct server_peer *peer, struct door *door);
void test_close(struct test_conn *conn);

/* Sends words separated by spaces; "" is an empty argument. False if the request has to wait. */
bool test_send(struct test_conn *conn, const char *line);
bool test_send_args(struct test_conn *conn, const struct slice *args, size_t count); /* copies */

/* Reads all queued output of the client. Borrowed until the next call. */
const char *test_read(struct test_conn *conn);

struct slice test_read_all(struct test_conn *conn); /* the same; it may have NULs */

/* test_send, which must not wait, then test_read. */
const char *test_call(struct test_conn *conn, const char *line);

/* Runs a turn of the loop with nothing to read, and the requests of resumed clients. */
void test_turn(uint64_t now_us);
void test_turns(int count); /* at the present time */

/* Runs turns until the request is done, and returns all replies. */
const char *test_finish(struct test_conn *conn);

/* Splits the next command off an image (server/image_commands.h); *at is image->ptr at first. argv
 * has room for 16 arguments. False at the end. */
bool test_next_command(
    const struct buffer *image, const char **at, struct slice *argv, size_t *argc);

#endif
