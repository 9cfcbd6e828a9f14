#ifndef CLI_TLS_H
#define CLI_TLS_H

#include <openssl/types.h>
#include <stdbool.h>

struct buffer;

/*
 * TLS of the tool: which authorities it trusts, the name that a server must prove, what it shows of
 * itself, and why a handshake failed, in words for a person. TLS 1.2 is the least. It knows neither
 * sockets nor events: whoever has a connection puts an SSL of this on it.
 */

/* What the user said; borrows from argv. NULL where he did not. */
struct tls_options {
	bool enabled;
	const char *ca_path;
	const char *ca_dir;       /* where neither is said: the system's authorities */
	const char *cert_path;    /* NULL: no certificate is shown */
	const char *key_path;     /* NULL: in cert_path too */
	const char *sni;          /* NULL: the host */
	const char *ciphers;      /* up to TLS 1.2 */
	const char *ciphersuites; /* of TLS 1.3 */
	bool insecure;            /* any certificate will do */
};

/* A constant text where they do not fit together, or NULL. */
const char *tls_options_fault(const struct tls_options *options);

/* What all connections of a run have in common. */
struct tls_client;

/*
 * host is a name or an address; what it is decides what the certificate must hold. NULL with a line
 * appended to error where a file or a list is no good. Else owned (tls_client_free). Copies.
 */
struct tls_client *tls_client_new(
    const struct tls_options *options, const char *host, struct buffer *error);
void tls_client_free(struct tls_client *client); /* or NULL */

/* The client's side of a new connection, before its handshake. Returns owned (SSL_free). */
SSL *tls_client_start(struct tls_client *client);

/* Tells the server that this is the end, as far as that can be said without waiting. */
void tls_say_goodbye(SSL *ssl);

/*
 * Appends why ssl failed. code is the first of OpenSSL's errors, or 0 where there is none, and the
 * stream just ended: then system_error says how, 0 for an end as usual.
 */
void tls_explain(SSL *ssl, unsigned long code, int system_error, struct buffer *out);

/*
 * What to suspect of a server that ends the connection, or stays silent, before its first word; tls
 * says whether we spoke it. A constant text.
 */
const char *tls_suspicion(bool tls);

#endif
