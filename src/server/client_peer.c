#include "config.h"

#include "server/client_peer.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"

struct client_peer *
client_peer_new(
    const char *address, const char *local_address, struct slice origin, uint64_t now_us)
{
	size_t address_len = strlen(address) + 1, local_len = strlen(local_address) + 1;
	struct client_peer *peer =
	    xmalloc(offsetof(struct client_peer, text) + address_len + local_len + origin.len);

	assert(address_len <= UINT8_MAX && origin.len < 64);
	peer->created_us = now_us;
	peer->local_at = (uint8_t)address_len;
	peer->origin_len = (uint8_t)(origin.len & 63);
	peer->is_unix = peer->is_loopback = false;
	memcpy(peer->text, address, address_len);
	memcpy(peer->text + address_len, local_address, local_len);
	if (origin.len > 0)
		memcpy(peer->text + address_len + local_len, origin.ptr, origin.len);
	return peer;
}

const char *
client_peer_address(const struct client_peer *peer)
{
	return peer->text;
}

const char *
client_peer_local_address(const struct client_peer *peer)
{
	return peer->text + peer->local_at;
}

struct slice
client_peer_origin(const struct client_peer *peer)
{
	const char *local = client_peer_local_address(peer);

	return (struct slice){local + strlen(local) + 1, peer->origin_len};
}
