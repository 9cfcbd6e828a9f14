#ifndef NET_TLS_STREAM_H
#define NET_TLS_STREAM_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "net/tls.h"

/*
 * TLS stream: the TLS layer between a stream and its socket.
 *
 * OpenSSL's output is written to the socket at once. Bytes that the socket does not take are kept
 * (about one record at most), and nothing more is encrypted until they are written. So encrypted
 * bytes count as written, and the caller never has to repeat a write. The handshake is part of
 * reading.
 */
struct tls_stream {
	SSL *ssl;
	struct tls *tls; /* NULL: the client's side */
	int fd;
	char *rest; /* encrypted bytes that the socket has not taken yet; NULL: none */
	size_t rest_at, rest_len;
	const char *reason;   /* why it failed; NULL: it has not failed */
	size_t budget;        /* bytes that this read may still take from the socket, about */
	unsigned key_updates; /* key updates of the peer since its last data */
	bool secured;         /* the handshake is done */
	bool may_write;       /* secured, and not inside of another handshake message */
	bool seen;            /* bytes were received */
	bool plain;           /* the first bytes were not TLS */
	bool eof;
	bool more; /* more can be read, for which the socket may have no event */
};

/* Borrows fd. Returns owned (tls_stream_free); NULL: no memory. */
struct tls_stream *tls_stream_new(struct tls *tls, int fd);
/* The client's side. Takes ssl. If ssl is NULL, returns NULL. */
struct tls_stream *tls_stream_new_client(SSL *ssl, int fd);
void tls_stream_free(struct tls_stream *ts);

/*
 * As recv(2) and send(2) on a non-blocking socket. If TLS fails: EPROTO, and reason is a string
 * literal of this program or of OpenSSL. Before the handshake is done nothing is written (EAGAIN),
 * and a read continues the handshake. A read takes at most about len bytes from the socket, even if
 * they contain no data.
 */
ssize_t tls_stream_read(struct tls_stream *ts, void *room, size_t len);

/* room has STREAM_ROOM_BYTES, to gather small pieces; changes pieces. */
ssize_t tls_stream_write(struct tls_stream *ts, struct iovec *pieces, size_t count, char *room);

/* Writes the kept bytes. 1: none are left; 0: the socket takes no more; -1 with errno. */
int tls_stream_flush(struct tls_stream *ts);

bool tls_stream_is_resumed(const struct tls_stream *ts); /* an earlier session was resumed */
void tls_stream_end(struct tls_stream *ts); /* tells the peer that nothing more will come */

#endif
