#ifndef EDGE_TESTING_EDGE_H
#define EDGE_TESTING_EDGE_H

#include <stdint.h>

#include "cmd/testing_server.h"
#include "edge/edge.h"
#include "edge/edge_config.h"
#include "edge/figures.h"

/*
 * For tests of edge: an edge on the server of cmd/testing_server.h. Requests and frames are the
 * slices that the protocols of http would give, so no test needs a socket or a parser.
 *
 * Channels keep_*: history of 1000 messages. The user edge may do everything with all channels.
 */
extern struct edge *test_edge;
extern struct edge_config test_edge_config; /* reset by test_edge_setup */
extern struct test_conn *test_admin;        /* a RESP client */
extern uint64_t test_wall_s;                /* Unix time for tokens */

void test_edge_setup(void);
void test_edge_teardown(void); /* checks that no subscription and no queued byte is left */

const struct edge_figures *test_edge_figures(void);
struct edge_session *test_edge_session(const struct test_conn *conn);

/* A connection that has sent nothing. */
struct test_conn *test_edge_open(void);

/*
 * A request: "GET /sse?channel=a", and header lines "Name: value" that end with LF. The body of a
 * POST. False if it has to wait.
 */
bool test_edge_send(
    struct test_conn *conn, const char *line, const char *headers, const char *body);

/* The same with a GET that must not wait; the response, as test_read(). */
const char *test_edge_get(struct test_conn *conn, const char *target, const char *headers);

/* An event stream with these parameters; what comes first is read. */
struct test_conn *test_edge_stream(const char *query);

/* A WebSocket that has sent no connect command; headers as above. */
struct test_conn *test_edge_join(const char *headers);

/* A WebSocket that is connected, with that token ("": none). */
struct test_conn *test_edge_socket(const char *token);

/* A frame: kind is the letter of http/ws_protocol.h. False if it has to wait. */
bool test_edge_frame(struct test_conn *conn, char kind, const char *payload);

/* Reads all queued frames: the text messages, each with an LF behind it; "close 3500 text" of a
 * close frame, "pong text" of a pong. Borrowed until the next call. */
const char *test_edge_messages(struct test_conn *conn);

/* The frames after a text message, which must not wait. */
const char *test_edge_call(struct test_conn *conn, const char *text);

/* A token of these claims, with a valid signature. Owned (xfree). */
char *test_edge_token(const char *claims);

#endif
