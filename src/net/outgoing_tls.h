#ifndef NET_OUTGOING_TLS_H
#define NET_OUTGOING_TLS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The client's side of TLS for outgoing connections: the trusted authorities, the name that the
 * server's certificate must have, and a certificate of our own. TLS 1.2 or later. For the net layer
 * only.
 */
struct outgoing_tls;

/* A string that is not set is NULL or "". */
struct outgoing_tls_settings {
	const char *ca_cert_file; /* if neither this nor the folder is set: the system's */
	const char *ca_cert_dir;
	const char *cert_file; /* PEM, followed by its chain */
	const char *key_file;  /* not set: the key is in cert_file */
	const char *name;      /* name in the server's certificate; not set: the host */
};

/* Reads the files. Returns owned (outgoing_tls_free), or NULL with one line in error. Copies. */
struct outgoing_tls *outgoing_tls_new(
    const struct outgoing_tls_settings *settings, const char *host, char *error, size_t error_len);
void outgoing_tls_free(struct outgoing_tls *tls); /* NULL is allowed */

/* For one connection, before its handshake. Returns owned (SSL_free), or NULL: no memory. */
SSL *outgoing_tls_start(const struct outgoing_tls *tls);

#endif
