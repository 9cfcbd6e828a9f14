#ifndef NET_TLS_STREAM_H
#define NET_TLS_STREAM_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "net/tls.h"

/*
 * TLS stream: what TLS makes of the bytes of one socket.
 *
 * OpenSSL writes through here to the socket at once; what this does not take is kept, and nothing
 * more is encrypted until it has gone. So what was encrypted counts as written, and never has to be
 * offered again; about one record is kept at most. The handshake is part of reading.
 */
struct tls_stream {
	SSL *ssl;
	struct tls *tls; /* NULL: the client's side */
	int fd;
	char *rest; /* encrypted, not taken by the socket yet; NULL: nothing */
	size_t rest_at, rest_len;
	const char *reason;   /* why it failed; NULL: it has not */
	size_t budget;        /* what this read may still take of the socket, about */
	unsigned key_updates; /* the peer's, since it last sent data */
	bool secured;         /* the handshake is done */
	bool may_write;       /* ... and the peer is in the middle of nothing like it */
	bool seen;            /* something came */
	bool plain;           /* ... and it was no TLS */
	bool eof;
	bool more; /* of what came, not all has been read; of which the socket tells nothing */
};

/* Borrows fd. Returns owned (tls_stream_free); NULL: no memory. */
struct tls_stream *tls_stream_new(struct tls *tls, int fd);
/* The client's side. Takes ssl, or NULL, for which it returns NULL. */
struct tls_stream *tls_stream_new_client(SSL *ssl, int fd);
void tls_stream_free(struct tls_stream *ts);

/*
 * As recv(2) and send(2) on a socket that does not block. Failed: EPROTO, and reason says why in
 * words of this program's or of OpenSSL's that stand forever. Before it is secured nothing is
 * written (EAGAIN), and reading goes on with the handshake. A read takes about len bytes of the
 * socket at most, whatever the peer fills them with.
 */
ssize_t tls_stream_read(struct tls_stream *ts, void *room, size_t len);

/* room is for STREAM_ROOM_BYTES, to gather small pieces; changes pieces. */
ssize_t tls_stream_write(struct tls_stream *ts, struct iovec *pieces, size_t count, char *room);

/* Offers the rest to the socket. 1: nothing is left; 0: the socket takes no more; -1: errno. */
int tls_stream_flush(struct tls_stream *ts);

bool tls_stream_is_resumed(const struct tls_stream *ts); /* a session from before */
void tls_stream_end(struct tls_stream *ts); /* tells the peer that nothing more will come */

#endif
