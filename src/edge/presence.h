#ifndef EDGE_PRESENCE_H
#define EDGE_PRESENCE_H

#include <stdint.h>

/*
 * Presence of WebSockets: who subscribes to a channel whose option `presence` is on is a member of
 * it while subscribed. The member has the name of the token's subject, or of the connection without
 * one; its info is the token's. For this layer only.
 */
struct edge_channel;
struct edge_session;

#define EDGE_CLIENT_NAME_MAX 40 /* room for edge_client_name() */

/* The id of the connection as clients see it: among those of all nodes, if these have their members
 * in common. Returns text. */
const char *edge_client_name(const struct edge_session *s, char text[EDGE_CLIENT_NAME_MAX]);

void edge_presence_join(
    struct edge_session *s, const struct edge_channel *channel, uint64_t now_us);
void edge_presence_leave(
    struct edge_session *s, const struct edge_channel *channel, uint64_t now_us);

#endif
