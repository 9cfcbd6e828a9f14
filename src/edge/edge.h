#ifndef EDGE_EDGE_H
#define EDGE_EDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/request_verdict.h"
#include "edge/edge_config.h"
#include "edge/edge_io.h"

/*
 * Edge: the doors for browsers. HTTP requests, event streams (SSE) and WebSockets of one daemon,
 * as clients of its server.
 *
 * The requests come as slices from http/protocol.h and http/ws_protocol.h; what is sent goes to the
 * client's outbox. The edge has no access to sockets, files or the clock of the day but through
 * struct edge_io, which app, or a test, fills in.
 */
struct edge;
struct outbox;
struct server;
struct server_peer;
struct tokens;

/* Borrows config, whose values may change (edge_reconfigured()), and server; copies io. Returns
 * owned (edge_free). */
struct edge *edge_new(
    const struct edge_config *config, struct server *server, const struct edge_io *io);
void edge_free(struct edge *edge); /* all its clients were freed; before server_free() */
void edge_reconfigured(struct edge *edge);

/* The keys for tokens; borrows until the next call. NULL: no token is accepted. */
void edge_set_tokens(struct edge *edge, struct tokens *tokens);

/* The functions of its services (struct net_service). A client of the HTTP service may be switched
 * to the WebSocket service. */
void *edge_open(struct edge *edge, void *conn, const struct server_peer *peer, bool is_tls,
    struct outbox **outbox);
enum request_verdict edge_request(void *client, const struct slice *args, size_t count);
enum request_verdict edge_frame(void *client, const struct slice *args, size_t count);
void edge_broken(void *client, const char *error);       /* of the HTTP protocol */
void edge_frame_broken(void *client, const char *error); /* of the WebSocket protocol */
void edge_closed(void *client, const char *reason);

/* Heartbeats, pings and time limits. Called once a turn; returns the time until the next call, in
 * us. */
uint64_t edge_turn(struct edge *edge, uint64_t now_us);

#endif
