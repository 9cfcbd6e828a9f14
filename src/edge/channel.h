#ifndef EDGE_CHANNEL_H
#define EDGE_CHANNEL_H

#include <stdbool.h>

#include "base/bytes.h"

/* Names of channels and patterns in the commands of WebSockets. For this layer only. */
struct edge_session;

/* A channel as a WebSocket names it: with ws-glob-prefix it is a pattern. */
struct edge_channel {
	struct slice shown; /* as sent */
	struct slice name;
	bool is_pattern;
};
struct edge_channel edge_channel_of(const struct edge_session *s, struct slice shown);

#endif
