#ifndef NET_TESTING_CERTIFICATES_H
#define NET_TESTING_CERTIFICATES_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/tls.h"

/* For tests of TLS: an authority and the certificates that it signs, as PEM files in a temporary
 * folder, and the client's side of a connection. NAME.pem is a certificate, NAME.key its key. */
struct testing_certificate {
	const char *name; /* of the files */
	const char *cn;   /* NULL: name */
	size_t cn_len;    /* 0: as long as the text */
	const char *host; /* an alternative name; NULL: none */
	size_t host_len;  /* 0: as long as the text */
	const char *mail; /* another alternative name, a mail address; NULL: none */
	const char *password;
	int days; /* until it expires; 0: 100 */
};

/* Makes the folder with the certificates ca, server and client; teardown removes it with
 * its files. */
void testing_certificates_setup(void);
void testing_certificates_teardown(void);

void testing_certificates_add(const struct testing_certificate *what);

/* Writes a revocation list of ca to the file, which contains the certificate of this name, or is
 * empty if name is NULL. */
void testing_certificates_revoke(const char *file, const char *name, int days);

/* The path of a file in the folder. The last 128 results are valid. */
const char *testing_certificates_path(const char *file);

/* The server certificate, no client certificates, and the defaults of fanfared.conf. */
struct tls_settings testing_tls_settings(void);
struct tls *testing_tls(const struct tls_settings *settings); /* the test fails if this fails */

/* A client that uses this TLS version only (0: any) and accepts any server certificate; owned
 * (SSL_free). It has the certificate of this name, or none if NULL. */
SSL *testing_tls_client(int version, const char *certificate);

/* A first record after the handshake that the last client with TLS_AES_128_GCM_SHA256 could send:
 * the header of a key update without its body. */
void testing_tls_half_an_update(unsigned char record[26]);

#endif
