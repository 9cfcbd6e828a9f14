#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/bytes.h"

/* Addresses of peers: their text, the key under which limits count them, and whether they belong to
 * a network. It looks up no name and opens no socket. */

/*
 * The key under which limits count an address. Of an IPv6 address only the first 64 bits count,
 * because a provider gives a whole /64 to a single customer. An IPv4 address counts in full, also
 * an IPv4-mapped one.
 */
struct address_key {
	unsigned char bytes[8];
	uint8_t len; /* 4 or 8; 0: not an IP address, not limited */
};

struct address_key address_key(const struct sockaddr *address);

/* Reads an IP address with or without a port: "192.0.2.7", "192.0.2.7:50412", "::1", "[::1]",
 * "[::1]:50412". Without a port it is 0; an IPv4-mapped address becomes IPv4. False for anything
 * else. */
bool address_parse(struct slice text, struct sockaddr_storage *address)
    __attribute__((warn_unused_result));

/* "1.2.3.4:5", "[::1]:5"; "?:0" for an address that is not IP. */
void address_format(const struct sockaddr *address, char *out, size_t out_len);

bool address_is_loopback(const struct sockaddr *address);

/* A network: all addresses that begin with the same bits. */
struct address_network {
	unsigned char bytes[16]; /* IPv4 as IPv4-mapped IPv6 */
	uint8_t bits;            /* 0 to 128 */
};

/* "10.0.0.0/8", "fd00::/16", "192.0.2.7", "::1". False for anything else. */
bool address_network_parse(struct slice text, struct address_network *network)
    __attribute__((warn_unused_result));
bool address_network_has(const struct address_network *network, const struct sockaddr *address);
/* The same for a text, with or without a port: "192.0.2.7:50412", "[::1]:50412", "::1". False for
 * anything else. */
bool address_network_has_text(const struct address_network *network, struct slice text);

#endif
