#ifndef SERVER_CLIENT_PEER_H
#define SERVER_CLIENT_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * The unchanging facts about the peer of a client, in one allocation: 48 bytes if the address is a
 * short IPv4 address with its port.
 */
struct client_peer {
	uint64_t created_us; /* when the client connected; monotonic */
	uint8_t local_at;    /* where the local address begins in text */
	uint8_t origin_len : 6;
	bool is_unix : 1;
	bool is_loopback : 1;
	char text[]; /* the address and the local address, each with its NUL, and the origin */
};

/* Copies; address has at most 254 bytes, origin (see struct server_peer) 63. Returns owned (xfree).
 * The caller sets the flags. */
struct client_peer *client_peer_new(
    const char *address, const char *local_address, struct slice origin, uint64_t now_us);

/* "127.0.0.1:5000", or "PATH:0" for a Unix socket. */
const char *client_peer_address(const struct client_peer *peer);
const char *client_peer_local_address(const struct client_peer *peer);

/* See struct server_peer. */
struct slice client_peer_origin(const struct client_peer *peer);

#endif
