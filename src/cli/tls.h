#ifndef CLI_TLS_H
#define CLI_TLS_H

#include <openssl/types.h>
#include <stdbool.h>

struct buffer;

/*
 * TLS of the tool: the trusted authorities, the name required in the server's certificate, the
 * client's certificate, and readable messages for failed handshakes. At least TLS 1.2. This module
 * knows neither sockets nor events: the owner of a connection attaches an SSL from here to it.
 */

/* Options given by the user, borrowed from argv; NULL if not given. */
struct tls_options {
	bool enabled;
	const char *ca_path;
	const char *ca_dir;       /* without both: the system's authorities */
	const char *cert_path;    /* NULL: no certificate is presented */
	const char *key_path;     /* NULL: in cert_path too */
	const char *sni;          /* NULL: the host */
	const char *ciphers;      /* up to TLS 1.2 */
	const char *ciphersuites; /* of TLS 1.3 */
	bool insecure;            /* accept any certificate */
};

/* Returns a constant text if the options contradict each other, or NULL. */
const char *tls_options_fault(const struct tls_options *options);

/* Shared by all connections of a run. */
struct tls_client;

/*
 * host is a name or an address, which the certificate must contain. Copies. Returns owned
 * (tls_client_free), or NULL with a line appended to error if a file or a cipher list is invalid.
 */
struct tls_client *tls_client_new(
    const struct tls_options *options, const char *host, struct buffer *error);
void tls_client_free(struct tls_client *client); /* or NULL */

/* Returns the client side of a new connection, before its handshake, owned (SSL_free). */
SSL *tls_client_start(struct tls_client *client);

/* Sends a close_notify if that is possible without waiting. */
void tls_say_goodbye(SSL *ssl);

/*
 * Appends the reason why ssl failed. code is the first of OpenSSL's errors. If it is 0, the stream
 * ended, and system_error is its errno, or 0 for a normal end.
 */
void tls_explain(SSL *ssl, unsigned long code, int system_error, struct buffer *out);

/*
 * The likely cause if a server closes the connection, or stays silent, before it has sent anything.
 * tls: whether this client used TLS. Returns a constant text.
 */
const char *tls_suspicion(bool tls);

#endif
