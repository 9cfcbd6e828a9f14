#ifndef EDGE_EDGE_CONFIG_H
#define EDGE_EDGE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/outbox.h"

/* The settings that the edge reads. app fills them in; their values may change at any time, and
 * edge_reconfigured() is called then. Strings are never NULL. */

/* Families of URLs that http-doors switches on: bits of `doors`. */
enum edge_door {
	EDGE_DOOR_SSE = 1 << 0,
	EDGE_DOOR_WS = 1 << 1,
	EDGE_DOOR_PUBLISH = 1 << 2,
	EDGE_DOOR_HEALTH = 1 << 3,
	EDGE_DOOR_METRICS = 1 << 4,
	EDGE_DOOR_DEMO = 1 << 5,
};

struct edge_strings {
	char **items; /* borrowed */
	size_t count;
};

struct edge_config {
	uint32_t doors;
	struct edge_strings allowed_origins; /* "https://app.example.com", "*"; none: same origin */
	struct edge_strings hosts;           /* names in Host, without port; none: any */
	const char *user;                    /* edge-user */
	bool anonymous;
	uint32_t max_channels; /* subscriptions of a connection, at least 1 */
	size_t max_message;    /* bytes of a message published over a WebSocket */
	uint32_t command_rate; /* commands of a WebSocket in a second; 0: any number */
	size_t max_body;       /* of POST /pub */
	struct outbox_limits outbox;
	uint32_t ping_interval_s; /* at least 1 */
	uint32_t pong_timeout_s;
	uint32_t connect_timeout_s; /* for a WebSocket's connect command */
	uint32_t max_age_s;         /* 0: none */
	uint32_t keepalive_s;
	uint32_t sse_heartbeat_s; /* at least 1 */
	uint32_t sse_retry_min_ms;
	uint32_t sse_retry_max_ms; /* not below sse_retry_min_ms */
	bool ws_deflate;
	size_t ws_deflate_min;      /* shorter messages are not compressed */
	const char *ws_glob_prefix; /* not empty */
	const char *token_cookie;   /* name of the cookie with a token; "": none is read */
	const char *token_audience;
	const char *token_issuer;
	uint32_t token_leeway_s;
};

/* http-admin-from and http-forwarded-from are networks: app gives the edge functions that compare
 * an address with them (struct edge_io). */

#endif
