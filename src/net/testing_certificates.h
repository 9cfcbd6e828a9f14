#ifndef NET_TESTING_CERTIFICATES_H
#define NET_TESTING_CERTIFICATES_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/tls.h"

/*
 * For tests of TLS: an authority and the certificates that it signs, as PEM files in a temporary
 * folder, and the client's end of a connection. NAME.pem is a certificate, NAME.key its key.
 */
struct testing_certificate {
	const char *name; /* of the files */
	const char *cn;   /* NULL: name */
	size_t cn_len;    /* 0: as long as the text */
	const char *host; /* an alternative name; NULL: none */
	size_t host_len;  /* 0: as long as the text */
	const char *mail; /* another */
	const char *password;
	int days; /* until it expires; 0: 100 */
};

/* Makes the folder with ca, server and client; and removes it with all that is in it. */
void testing_certificates_setup(void);
void testing_certificates_teardown(void);

void testing_certificates_add(const struct testing_certificate *what);

/* Writes a list of ca's to the file, with the certificate of this name, or NULL, in it. */
void testing_certificates_revoke(const char *file, const char *name, int days);

/* A path in the folder; of the last 128 asked for. */
const char *testing_certificates_path(const char *file);

/* The server certificate, no client certificates, and the defaults of fanfared.conf. */
struct tls_settings testing_tls_settings(void);
struct tls *testing_tls(const struct tls_settings *settings); /* the test fails where it does */

/* A client that speaks this version only (0: any) and believes everything; owned (SSL_free). With
 * the certificate of this name, or NULL. */
SSL *testing_tls_client(int version, const char *certificate);

/* What the last client with TLS_AES_128_GCM_SHA256 might send as its first record after the
 * handshake: the header of a key update, without its body. */
void testing_tls_half_an_update(unsigned char record[26]);

#endif
