#ifndef NET_TLS_H
#define NET_TLS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/*
 * TLS: the server's certificates, keys and rules, built from the whole configuration or not at all.
 *
 * It never changes: a reload makes another one for new connections, and open connections keep
 * theirs. Names and meanings of the settings are those of redis.conf, if it has them.
 */
struct tls;

enum tls_auth_clients { TLS_AUTH_NO, TLS_AUTH_YES, TLS_AUTH_OPTIONAL };
enum tls_user { TLS_USER_NO, TLS_USER_CN, TLS_USER_SAN };

/* A string that is not set is "". */
struct tls_settings {
	const char *cert_file; /* PEM, followed by its chain */
	const char *key_file;  /* "": the key is in cert_file */
	const char *key_file_pass;
	const char *ca_cert_file;
	const char *ca_cert_dir;
	const char *crl_file;
	const char *protocols; /* "TLSv1.2 TLSv1.3" */
	const char *ciphers;   /* of TLS 1.2, in the format of ciphers(1) */
	const char *ciphersuites;
	char *const *sni;      /* groups of name, certificate, key */
	size_t sni_count;      /* of strings */
	uint32_t auth_clients; /* enum tls_auth_clients */
	uint32_t user; /* enum tls_user: the part of a client's certificate that names its user */
	uint32_t session_cache_size;
	uint32_t session_cache_timeout_s; /* also of tickets */
	bool prefer_server_ciphers;
	bool session_caching;
};

/* Makes OpenSSL allocate by base/alloc.h, which counts its memory. Call it before any function of
 * OpenSSL. */
void tls_init(void);

/* Reads the files. Returns owned (tls_unref), or NULL with one line in error. Borrows nothing. */
struct tls *tls_new(const struct tls_settings *settings, char *error, size_t error_len);
void tls_unref(struct tls *tls); /* by any thread; NULL is allowed */

/* The time when the first of its certificates, the CA's or the CRL expires; *what is the name of
 * its file. */
time_t tls_expires(const struct tls *tls, const char **what);

/* For tls_stream.c. The SSL of a new connection, owned (SSL_free), with a reference on tls, which
 * the caller releases (tls_unref); NULL: no memory. */
SSL *tls_accept(struct tls *tls);

/* Before the handshake: no certificate of the client is requested. Its session cannot be resumed by
 * a connection that has to present one. */
void tls_request_no_certificate(SSL *ssl);

/* The name of the user in the verified certificate of the client, owned (xfree); NULL: none. */
char *tls_user_of(const struct tls *tls, const SSL *ssl);

#endif
