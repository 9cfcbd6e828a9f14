#include "config.h"

#include "net/testing_net.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The peers of the rig's connections. */

struct rig_peer
rig_socket(int receive_buffer)
{
	struct rig_peer peer = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)};

	ck_assert_int_ne(peer.fd, -1);
	if (receive_buffer > 0)
		setsockopt(peer.fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(int));
	return peer;
}

void
rig_connect_port(struct rig_peer *peer, int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert(connect(peer->fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
		  errno == EINPROGRESS);
}

void
rig_connect(struct rig_peer *peer)
{
	rig_connect_port(peer, net_port(rig.net));
}

struct rig_peer
rig_dial(void)
{
	struct rig_peer peer = rig_socket(0);

	rig_connect(&peer);
	rig_until_clients(rig.client_count + 1);
	return peer;
}

void
rig_close(struct rig_peer *peer)
{
	if (peer->fd != -1)
		close(peer->fd);
	peer->fd = -1;
	buffer_release(&peer->in);
}

struct sending {
	int fd;
	struct slice left;
};

static bool
is_sent(void *arg)
{
	struct sending *sending = arg;
	ssize_t n = send(sending->fd, sending->left.ptr, sending->left.len, MSG_NOSIGNAL);

	ck_assert(n >= 0 || errno == EAGAIN || errno == ENOTCONN);
	if (n > 0) {
		sending->left.ptr += n;
		sending->left.len -= (size_t)n;
	}
	return sending->left.len == 0;
}

void
rig_send(struct rig_peer *peer, struct slice bytes)
{
	struct sending sending = {peer->fd, bytes};

	if (!is_sent(&sending))
		rig_until(is_sent, &sending);
}

void
rig_read(struct rig_peer *peer)
{
	ssize_t n = 1;

	while (n > 0 && !peer->eof && peer->error == 0) {
		n = recv(peer->fd, buffer_reserve(&peer->in, 65536), 65536, 0);
		if (n > 0)
			peer->in.len += (size_t)n;
		else if (n == 0)
			peer->eof = true;
		else if (errno != EAGAIN)
			peer->error = errno;
	}
}

struct wanted {
	struct rig_peer *peer;
	size_t count;
};

static bool
is_read(void *arg)
{
	const struct wanted *wanted = arg;

	rig_read(wanted->peer);
	return wanted->peer->in.len >= wanted->count;
}

void
rig_until_read(struct rig_peer *peer, size_t len)
{
	struct wanted wanted = {.peer = peer, .count = len};

	rig_until(is_read, &wanted);
}

static bool
is_over(void *arg)
{
	struct rig_peer *peer = arg;

	rig_read(peer);
	return peer->eof || peer->error != 0;
}

void
rig_until_eof(struct rig_peer *peer)
{
	rig_until(is_over, peer);
	ck_assert_msg(peer->eof, "%s", strerror(peer->error));
}

void
rig_ask(struct rig_peer *peer, const char *text, const char *answer)
{
	size_t len = strlen(answer);

	rig_send(peer, slice_of(text));
	rig_until_read(peer, peer->in.len + len);
	ck_assert_uint_ge(peer->in.len, len);
	peer->in.len -= len;
	ck_assert(memcmp(peer->in.ptr + peer->in.len, answer, len) == 0);
}
