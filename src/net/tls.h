#ifndef NET_TLS_H
#define NET_TLS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/*
 * TLS: the server's certificates, keys and rules, made of the configuration as a whole or not at
 * all.
 *
 * It never changes: a reload makes another one for the connections to come, and those that are open
 * keep what they began with. Names and meanings of the settings are those of redis.conf, where it
 * has them.
 */
struct tls;

enum tls_auth_clients { TLS_AUTH_NO, TLS_AUTH_YES, TLS_AUTH_OPTIONAL };
enum tls_user { TLS_USER_NO, TLS_USER_CN, TLS_USER_SAN };

/* Strings are "" where nothing is set. */
struct tls_settings {
	const char *cert_file; /* PEM, the chain behind it */
	const char *key_file;  /* "": in cert_file */
	const char *key_file_pass;
	const char *ca_cert_file;
	const char *ca_cert_dir;
	const char *crl_file;
	const char *protocols; /* "TLSv1.2 TLSv1.3" */
	const char *ciphers;   /* of TLS 1.2, as ciphers(1) */
	const char *ciphersuites;
	char *const *sni;      /* name, certificate, key; and so on */
	size_t sni_count;      /* of strings */
	uint32_t auth_clients; /* enum tls_auth_clients */
	uint32_t user;         /* enum tls_user: where a client's certificate names its user */
	uint32_t session_cache_size;
	uint32_t session_cache_timeout_s; /* of tickets too */
	bool prefer_server_ciphers;
	bool session_caching;
};

/* OpenSSL's memory counts as ours (base/alloc.h). Before anything else of OpenSSL's. */
void tls_init(void);

/* Reads the files. Returns owned (tls_unref), or NULL with one line in error. Borrows nothing. */
struct tls *tls_new(const struct tls_settings *settings, char *error, size_t error_len);
void tls_unref(struct tls *tls); /* by any thread; or NULL */

/* When the first of its certificates, or the CA's or the CRL's, expires; *what names its file. */
time_t tls_expires(const struct tls *tls, const char **what);

/* For tls_stream.c. A connection that is to be accepted, owned (SSL_free), which holds a reference
 * (tls_unref) on tls; NULL: no memory. */
SSL *tls_accept(struct tls *tls);

/* The name of the user in the verified certificate of the client, owned (xfree); NULL: none. */
char *tls_user_of(const struct tls *tls, const SSL *ssl);

#endif
