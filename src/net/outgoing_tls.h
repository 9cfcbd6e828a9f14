#ifndef NET_OUTGOING_TLS_H
#define NET_OUTGOING_TLS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The client's side of TLS for outgoing connections: whom to trust, the name that the server must
 * prove, and a certificate of our own. TLS 1.2 is the least. For the net layer only.
 */
struct outgoing_tls;

/* Strings may be NULL or "" where nothing is set. */
struct outgoing_tls_settings {
	const char *ca_cert_file; /* where neither this nor the folder is set: the system's */
	const char *ca_cert_dir;
	const char *cert_file; /* PEM, the chain behind it */
	const char *key_file;  /* not set: in cert_file */
	const char *name;      /* that the server must prove; not set: the host */
};

/* Reads the files. Returns owned (outgoing_tls_free), or NULL with one line in error. Copies. */
struct outgoing_tls *outgoing_tls_new(
    const struct outgoing_tls_settings *settings, const char *host, char *error, size_t error_len);
void outgoing_tls_free(struct outgoing_tls *tls); /* or NULL */

/* For one connection, before its handshake. Returns owned (SSL_free), or NULL: no memory. */
SSL *outgoing_tls_start(const struct outgoing_tls *tls);

#endif
