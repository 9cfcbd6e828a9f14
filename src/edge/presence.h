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

void edge_presence_join(
    struct edge_session *s, const struct edge_channel *channel, uint64_t now_us);
void edge_presence_leave(
    struct edge_session *s, const struct edge_channel *channel, uint64_t now_us);

#endif
