#include "config.h"

#include "net/tls_stream.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"

/* The most data bytes in a TLS record (RFC 8446 5.1). */
#define RECORD_BYTES 16384

/* The most kept bytes: a peer may make OpenSSL answer (key updates) without reading the answers. */
#define REST_MAX ((size_t)64 << 10)

#define HANDSHAKE_RECORD 22

/* The most key updates in a row without data between them: each costs as much as some thousand
 * bytes of data. */
#define KEY_UPDATES_MAX 32

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

/* The BIO: between OpenSSL and the socket. */

static int
on_bio_read(BIO *bio, char *room, size_t len, size_t *taken)
{
	struct tls_stream *ts = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (ts->reason != NULL)
		return 0;
	if (ts->budget == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	n = recv(ts->fd, room, len, MSG_DONTWAIT);
	if (n > 0) {
		ts->budget -= (size_t)n < ts->budget ? (size_t)n : ts->budget;
		if (!ts->seen)
			ts->plain = room[0] != HANDSHAKE_RECORD;
		ts->seen = true;
		*taken = (size_t)n;
		return 1;
	}
	if (n == 0)
		ts->eof = true;
	else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		BIO_set_retry_read(bio);
	return 0;
}

static bool
keep_rest(struct tls_stream *ts, const char *ptr, size_t len)
{
	if (len > REST_MAX - ts->rest_len) {
		errno = ENOBUFS;
		return false;
	}
	ts->rest = xrealloc(ts->rest, ts->rest_len + len);
	memcpy(ts->rest + ts->rest_len, ptr, len);
	ts->rest_len += len;
	return true;
}

static int
on_bio_write(BIO *bio, const char *ptr, size_t len, size_t *taken)
{
	struct tls_stream *ts = BIO_get_data(bio);
	ssize_t sent = 0;

	BIO_clear_retry_flags(bio);
	if (ts->rest == NULL)
		sent = send(ts->fd, ptr, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			return 0;
		sent = 0;
	}
	if ((size_t)sent < len && !keep_rest(ts, ptr + sent, len - (size_t)sent))
		return 0;
	*taken = len;
	return 1;
}

static long
on_bio_ctrl(BIO *bio, int what, long number, void *ptr)
{
	const struct tls_stream *ts = BIO_get_data(bio);

	(void)number;
	(void)ptr;
	switch (what) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return ts->eof;
	default:
		return 0;
	}
}

static void
make_method(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fanfare stream");
	if (method == NULL || BIO_meth_set_read_ex(method, on_bio_read) != 1 ||
	    BIO_meth_set_write_ex(method, on_bio_write) != 1 ||
	    BIO_meth_set_ctrl(method, on_bio_ctrl) != 1)
		method = NULL;
}

/* The stream */

static void
on_message(int writing, int version, int type, const void *ptr, size_t len, SSL *ssl, void *arg)
{
	struct tls_stream *ts = arg;

	(void)version;
	(void)ssl;
	if (writing || type != SSL3_RT_HANDSHAKE || len == 0 ||
	    *(const unsigned char *)ptr != SSL3_MT_KEY_UPDATE)
		return;
	if (++ts->key_updates > KEY_UPDATES_MAX && ts->reason == NULL)
		ts->reason = "too many key updates";
}

/* Takes ssl. If ssl is NULL, returns NULL. */
static struct tls_stream *
attach(SSL *ssl, struct tls *tls, int fd)
{
	struct tls_stream *ts;
	BIO *bio;

	pthread_once(&method_once, make_method);
	bio = method != NULL && ssl != NULL ? BIO_new(method) : NULL;
	if (bio == NULL) {
		SSL_free(ssl);
		return NULL;
	}
	ts = xmalloc(sizeof(*ts));
	*ts = (struct tls_stream){.ssl = ssl, .tls = tls, .fd = fd};
	BIO_set_data(bio, ts);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio); /* takes bio */
	SSL_set_msg_callback(ssl, on_message);
	SSL_set_msg_callback_arg(ssl, ts);
	return ts;
}

struct tls_stream *
tls_stream_new(struct tls *tls, int fd)
{
	SSL *ssl = tls_accept(tls);
	struct tls_stream *ts = attach(ssl, tls, fd);

	if (ts == NULL && ssl != NULL)
		tls_unref(tls);
	return ts;
}

struct tls_stream *
tls_stream_new_client(SSL *ssl, int fd)
{
	return attach(ssl, NULL, fd);
}

void
tls_stream_free(struct tls_stream *ts)
{
	SSL_free(ts->ssl);
	tls_unref(ts->tls);
	xfree(ts->rest);
	xfree(ts);
}

static const char *
reason_of(const struct tls_stream *ts, unsigned long code)
{
	const char *text;

	if (ts->plain && !SSL_is_server(ts->ssl))
		return "the server does not speak TLS";
	if (ts->plain)
		return "no TLS: something else was sent to the TLS port";
	if (ERR_GET_LIB(code) != ERR_LIB_SSL)
		return "TLS error";
	switch (ERR_GET_REASON(code)) {
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		return X509_verify_cert_error_string(SSL_get_verify_result(ts->ssl));
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return "the client gave no certificate";
	default:
		text = ERR_reason_error_string(code);
		return text != NULL ? text : "TLS error";
	}
}

/* Converts the failure of an OpenSSL call to a result of recv(2). */
static ssize_t
outcome(struct tls_stream *ts, int result)
{
	int error = errno;

	switch (SSL_get_error(ts->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		if (ts->reason != NULL) {
			errno = EPROTO;
			return -1;
		}
		if (ts->eof)
			return 0;
		errno = error != 0 ? error : EPROTO;
		return -1;
	default:
		if (ts->reason == NULL)
			ts->reason = reason_of(ts, ERR_peek_error());
		ERR_clear_error();
		errno = EPROTO;
		return -1;
	}
}

ssize_t
tls_stream_read(struct tls_stream *ts, void *room, size_t len)
{
	size_t got = 0, n;
	ssize_t ended;
	int result = 1;

	if (ts->reason != NULL) {
		errno = EPROTO;
		return -1;
	}
	ERR_clear_error();
	ts->budget = len;
	while (got < len) {
		errno = 0;
		result = SSL_read_ex(ts->ssl, (char *)room + got, len - got, &n);
		if (result != 1)
			break;
		got += n;
		ts->key_updates = 0;
	}
	if (!ts->secured)
		ts->secured = SSL_is_init_finished(ts->ssl);
	ts->may_write = ts->secured && SSL_is_init_finished(ts->ssl);
	ts->more = got == len;
	if (result == 1)
		return (ssize_t)got;
	ended = outcome(ts, result);
	if (got == 0)
		return ended;
	/* The next read reports an end or a failure; the socket may have no event for it. */
	ts->more = ended == 0 || errno != EAGAIN;
	return (ssize_t)got;
}

int
tls_stream_flush(struct tls_stream *ts)
{
	ssize_t sent;

	if (ts->rest == NULL)
		return 1;
	sent = send(ts->fd, ts->rest + ts->rest_at, ts->rest_len - ts->rest_at,
	    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
	ts->rest_at += (size_t)sent;
	if (ts->rest_at < ts->rest_len)
		return 0;
	xfree(ts->rest);
	ts->rest = NULL;
	ts->rest_at = ts->rest_len = 0;
	return 1;
}

/* The next *len bytes of the pieces, for one record; copied together unless the first piece is
 * large enough. */
static const char *
next_record(const struct iovec *pieces, size_t count, char *room, size_t *len)
{
	*len = pieces[0].iov_len;
	if (*len >= RECORD_BYTES) {
		*len = RECORD_BYTES;
		return pieces[0].iov_base;
	}
	if (count == 1)
		return pieces[0].iov_base;
	*len = 0;
	for (size_t i = 0; i < count && *len < RECORD_BYTES; i++) {
		size_t n = pieces[i].iov_len;

		if (n > RECORD_BYTES - *len)
			n = RECORD_BYTES - *len;
		memcpy(room + *len, pieces[i].iov_base, n);
		*len += n;
	}
	return room;
}

static void
skip(struct iovec **pieces, size_t *count, size_t len)
{
	while (*count > 0 && len >= (*pieces)->iov_len) {
		len -= (*pieces)->iov_len;
		++*pieces;
		--*count;
	}
	if (len > 0) {
		(*pieces)->iov_base = (char *)(*pieces)->iov_base + len;
		(*pieces)->iov_len -= len;
	}
}

ssize_t
tls_stream_write(struct tls_stream *ts, struct iovec *pieces, size_t count, char *room)
{
	size_t written = 0;

	if (ts->reason != NULL) {
		errno = EPROTO;
		return -1;
	}
	if (!ts->may_write) {
		errno = EAGAIN;
		return -1;
	}
	switch (tls_stream_flush(ts)) {
	case -1:
		return -1;
	case 0:
		errno = EAGAIN;
		return -1;
	default:
		break;
	}
	ERR_clear_error();
	while (count > 0 && ts->rest == NULL) {
		size_t len, n;
		const char *ptr = next_record(pieces, count, room, &len);

		errno = 0;
		if (SSL_write_ex(ts->ssl, ptr, len, &n) != 1)
			break;
		written += n;
		skip(&pieces, &count, n);
	}
	if (written > 0 || ts->rest != NULL)
		return (ssize_t)written;
	if (outcome(ts, 0) == 0)
		errno = EPIPE;
	return -1;
}

bool
tls_stream_is_resumed(const struct tls_stream *ts)
{
	return SSL_session_reused(ts->ssl);
}

void
tls_stream_end(struct tls_stream *ts)
{
	if (!ts->secured || ts->reason != NULL || ts->rest != NULL)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(ts->ssl);
	ERR_clear_error();
}
