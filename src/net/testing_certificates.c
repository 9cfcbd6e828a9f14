#include "config.h"

#include "net/testing_certificates.h"

#include <check.h>
#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static EVP_PKEY *ca_key;
static X509 *ca;
static long serial;

const char *
testing_certificates_path(const char *file)
{
	static char paths[128][256];
	static unsigned next;
	char *path = paths[next++ % 128];

	snprintf(path, sizeof(paths[0]), "%.60s/%.190s", folder, file);
	return path;
}

static FILE *
create(const char *name, const char *suffix)
{
	char file[128];
	FILE *stream;

	snprintf(file, sizeof(file), "%s%s", name, suffix);
	stream = fopen(testing_certificates_path(file), "w");
	ck_assert_ptr_nonnull(stream);
	return stream;
}

static void
add_extension(X509 *x509, int nid, void *value)
{
	ck_assert_int_eq(X509_add1_ext_i2d(x509, nid, value, 0, 0), 1);
}

static void
push_name(GENERAL_NAMES *names, int kind, const char *text, size_t len)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *string = ASN1_IA5STRING_new();

	ASN1_STRING_set(string, text, (int)(len > 0 ? len : strlen(text)));
	GENERAL_NAME_set0_value(name, kind, string);
	sk_GENERAL_NAME_push(names, name);
}

static void
add_alternative_names(X509 *x509, const struct testing_certificate *what)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();

	if (what->host != NULL)
		push_name(names, GEN_DNS, what->host, what->host_len);
	if (what->mail != NULL)
		push_name(names, GEN_EMAIL, what->mail, 0);
	if (sk_GENERAL_NAME_num(names) > 0)
		add_extension(x509, NID_subject_alt_name, names);
	GENERAL_NAMES_free(names);
}

/* Makes a certificate that the authority has signed; the first one is the authority itself. */
static X509 *
make(const struct testing_certificate *what, EVP_PKEY *key)
{
	X509 *x509 = X509_new();
	X509_NAME *subject = X509_get_subject_name(x509);
	const char *cn = what->cn != NULL ? what->cn : what->name;
	BASIC_CONSTRAINTS authority = {.ca = 0xff};

	X509_set_version(x509, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
	X509_time_adj_ex(X509_getm_notBefore(x509), -200, 0, NULL);
	X509_time_adj_ex(X509_getm_notAfter(x509), what->days != 0 ? what->days : 100, 0, NULL);
	X509_set_pubkey(x509, key);
	X509_NAME_add_entry_by_NID(subject, NID_commonName, V_ASN1_UTF8STRING,
	    (const unsigned char *)cn, (int)(what->cn_len > 0 ? what->cn_len : strlen(cn)), -1, 0);
	add_alternative_names(x509, what);
	if (ca == NULL)
		add_extension(x509, NID_basic_constraints, &authority);
	X509_set_issuer_name(x509, ca != NULL ? X509_get_subject_name(ca) : subject);
	ck_assert_int_gt(X509_sign(x509, ca_key, EVP_sha256()), 0);
	return x509;
}

static void
write_files(const struct testing_certificate *what, X509 *x509, EVP_PKEY *key)
{
	FILE *file = create(what->name, ".pem");
	const char *password = what->password;

	ck_assert_int_eq(PEM_write_X509(file, x509), 1);
	fclose(file);
	file = create(what->name, ".key");
	ck_assert_int_eq(
	    PEM_write_PKCS8PrivateKey(file, key, password != NULL ? EVP_aes_256_cbc() : NULL,
		password, password != NULL ? (int)strlen(password) : 0, NULL, NULL),
	    1);
	fclose(file);
}

void
testing_certificates_add(const struct testing_certificate *what)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x509 = make(what, key);

	write_files(what, x509, key);
	X509_free(x509);
	EVP_PKEY_free(key);
}

void
testing_certificates_setup(void)
{
	static const struct testing_certificate authority = {.name = "ca", .days = 300};

	snprintf(folder, sizeof(folder), "/tmp/fanfare-tls-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	serial = 0;
	ca_key = EVP_EC_gen("P-256");
	ca = make(&authority, ca_key);
	write_files(&authority, ca, ca_key);
	testing_certificates_add(&(struct testing_certificate){.name = "server"});
	testing_certificates_add(&(struct testing_certificate){.name = "client"});
}

void
testing_certificates_teardown(void)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlink(testing_certificates_path(entry->d_name));
	closedir(dir);
	rmdir(folder);
	X509_free(ca);
	ca = NULL;
	EVP_PKEY_free(ca_key);
}

static X509_REVOKED *
revoked(const char *name)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_TIME *now = X509_gmtime_adj(NULL, -60);
	FILE *file = fopen(testing_certificates_path(name), "r");
	X509 *x509;

	ck_assert_ptr_nonnull(file);
	x509 = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(x509));
	X509_REVOKED_set_revocationDate(entry, now);
	ASN1_TIME_free(now);
	X509_free(x509);
	return entry;
}

void
testing_certificates_revoke(const char *file, const char *name, int days)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *last = X509_gmtime_adj(NULL, -60);
	ASN1_TIME *next = X509_time_adj_ex(NULL, days, 0, NULL);
	FILE *stream;

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca));
	X509_CRL_set1_lastUpdate(crl, last);
	X509_CRL_set1_nextUpdate(crl, next);
	if (name != NULL)
		X509_CRL_add0_revoked(crl, revoked(name));
	ck_assert_int_gt(X509_CRL_sign(crl, ca_key, EVP_sha256()), 0);
	stream = create(file, "");
	ck_assert_int_eq(PEM_write_X509_CRL(stream, crl), 1);
	fclose(stream);
	ASN1_TIME_free(last);
	ASN1_TIME_free(next);
	X509_CRL_free(crl);
}

struct tls_settings
testing_tls_settings(void)
{
	return (struct tls_settings){
	    .cert_file = testing_certificates_path("server.pem"),
	    .key_file = testing_certificates_path("server.key"),
	    .key_file_pass = "",
	    .ca_cert_file = "",
	    .ca_cert_dir = "",
	    .crl_file = "",
	    .protocols = "TLSv1.2 TLSv1.3",
	    .ciphers = "",
	    .ciphersuites = "",
	    .auth_clients = TLS_AUTH_NO,
	    .session_caching = true,
	    .session_cache_size = 100,
	    .session_cache_timeout_s = 300,
	};
}

struct tls *
testing_tls(const struct tls_settings *settings)
{
	char error[256] = "";
	struct tls *tls = tls_new(settings, error, sizeof(error));

	ck_assert_msg(tls != NULL, "%s", error);
	return tls;
}

/* HKDF-Expand-Label (RFC 8446 7.1), for results no longer than a hash. */
static void
expand_label(const unsigned char *from, const char *label, unsigned char *room, size_t len)
{
	unsigned char info[32] = {0, (unsigned char)len, (unsigned char)(6 + strlen(label))};
	unsigned char digest[32];
	size_t at = 3;

	at += (size_t)snprintf((char *)info + at, sizeof(info) - at, "tls13 %s", label);
	info[at++] = 0;
	info[at++] = 1;
	ck_assert_ptr_nonnull(HMAC(EVP_sha256(), from, 32, info, at, digest, NULL));
	memcpy(room, digest, len);
}

static unsigned char secret[32]; /* the client's traffic secret, with TLS_AES_128_GCM_SHA256 */

static void
on_secret(const SSL *ssl, const char *line)
{
	static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
	unsigned char *bytes;
	long len;

	(void)ssl;
	if (strncmp(line, label, strlen(label)) != 0)
		return;
	bytes = OPENSSL_hexstr2buf(strrchr(line, ' ') + 1, &len);
	if (len == sizeof(secret))
		memcpy(secret, bytes, sizeof(secret));
	OPENSSL_free(bytes);
}

void
testing_tls_half_an_update(unsigned char record[26])
{
	static const unsigned char text[] = {24, 0, 0, 1, 22};
	static const unsigned char header[] = {23, 3, 3, 0, 21};
	unsigned char key[16], iv[12];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len;

	memcpy(record, header, sizeof(header));
	expand_label(secret, "key", key, sizeof(key));
	expand_label(secret, "iv", iv, sizeof(iv));
	ck_assert_int_eq(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, iv), 1);
	ck_assert_int_eq(EVP_EncryptUpdate(ctx, NULL, &len, record, 5), 1);
	ck_assert_int_eq(EVP_EncryptUpdate(ctx, record + 5, &len, text, sizeof(text)), 1);
	ck_assert_int_eq(EVP_EncryptFinal_ex(ctx, record + 10, &len), 1);
	ck_assert_int_eq(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, record + 10), 1);
	EVP_CIPHER_CTX_free(ctx);
}

SSL *
testing_tls_client(int version, const char *certificate)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char file[128];
	SSL *ssl;

	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	SSL_CTX_set_keylog_callback(ctx, on_secret);
	if (certificate != NULL) {
		snprintf(file, sizeof(file), "%s.pem", certificate);
		ck_assert_int_eq(SSL_CTX_use_certificate_file(
				     ctx, testing_certificates_path(file), SSL_FILETYPE_PEM),
		    1);
		snprintf(file, sizeof(file), "%s.key", certificate);
		ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(
				     ctx, testing_certificates_path(file), SSL_FILETYPE_PEM),
		    1);
	}
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	SSL_set_connect_state(ssl);
	return ssl;
}
