#include "config.h"

#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "net/tls_tickets.h"

/* The largest certificate chain of a client, in bytes; the client is not authenticated yet. */
#define CERTIFICATES_MAX 32768

/* A certificate for one name that clients ask for, or (NULL) for all others. */
struct certificate {
	char *name; /* owned; in "*.example.org", "*" matches one label */
	SSL_CTX *ctx;
};

struct tls {
	atomic_uint refs; /* one for the net, one for each connection */
	struct tls_tickets *tickets;
	struct certificate *certificates; /* the first is the one for all others */
	size_t count;
	uint32_t user; /* enum tls_user */
	time_t expires;
	char *expiring; /* the file whose certificate or CRL expires first */
};

/* A struct tls being built, and the error. */
struct building {
	const struct tls_settings *settings;
	struct tls *tls;
	char *error;
	size_t error_len;
};

static void *
ssl_malloc(size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	return xmalloc(len);
}

static void *
ssl_realloc(void *ptr, size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	return xrealloc(ptr, len);
}

static void
ssl_free(void *ptr, const char *file, int line)
{
	(void)file;
	(void)line;
	xfree(ptr);
}

void
tls_init(void)
{
	(void)CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free);
}

static bool
fail(struct building *b, const char *what, const char *file)
{
	unsigned long code = ERR_peek_error();
	const char *why = code != 0 ? ERR_reason_error_string(code) : NULL;

	if (code != 0 && ERR_GET_LIB(code) == ERR_LIB_SYS)
		why = strerror(ERR_GET_REASON(code));
	snprintf(b->error, b->error_len, "%s%s%s%s%s", what, file[0] != '\0' ? " " : "", file,
	    why != NULL ? ": " : "", why != NULL ? why : "");
	ERR_clear_error();
	return false;
}

static void
note_expiry(struct tls *tls, const ASN1_TIME *when, const char *file)
{
	struct tm tm;
	time_t at;

	if (when == NULL || ASN1_TIME_to_tm(when, &tm) != 1)
		return;
	at = timegm(&tm);
	if (tls->expiring != NULL && at >= tls->expires)
		return;
	xfree(tls->expiring);
	tls->expiring = xstrdup(file);
	tls->expires = at;
}

static int
give_password(char *room, int len, int writing, void *arg)
{
	const char *password = arg;
	size_t needed = strlen(password);

	(void)writing;
	if (needed > (size_t)len)
		return -1;
	memcpy(room, password, needed);
	return (int)needed;
}

/* OpenSSL parses a certificate's extensions when they are first used. Done here, before other
 * threads use it, so that the first handshakes take no time for it. */
static void
read_extensions(X509 *certificate)
{
	(void)X509_check_purpose(certificate, -1, 0);
	ERR_clear_error(); /* a defect is reported when the certificate is used */
}

static bool
load_certificate(struct building *b, SSL_CTX *ctx, const char *cert, const char *key)
{
	STACK_OF(X509) *chain = NULL;

	if (key[0] == '\0')
		key = cert;
	SSL_CTX_set_default_passwd_cb(ctx, give_password);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, (void *)(uintptr_t)b->settings->key_file_pass);
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		return fail(b, "certificate", cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return fail(b, "key", key);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
	note_expiry(b->tls, X509_get0_notAfter(SSL_CTX_get0_certificate(ctx)), cert);
	read_extensions(SSL_CTX_get0_certificate(ctx));
	(void)SSL_CTX_get0_chain_certs(ctx, &chain);
	for (int i = 0; i < sk_X509_num(chain); i++) {
		read_extensions(sk_X509_value(chain, i));
		note_expiry(b->tls, X509_get0_notAfter(sk_X509_value(chain, i)), cert);
	}
	return true;
}

static void
check_authorities(struct building *b, SSL_CTX *ctx)
{
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509_OBJECT *object = sk_X509_OBJECT_value(objects, i);

		if (X509_OBJECT_get0_X509(object) != NULL) {
			read_extensions(X509_OBJECT_get0_X509(object));
			note_expiry(b->tls, X509_get0_notAfter(X509_OBJECT_get0_X509(object)),
			    b->settings->ca_cert_file);
		} else if (X509_OBJECT_get0_X509_CRL(object) != NULL) {
			note_expiry(b->tls,
			    X509_CRL_get0_nextUpdate(X509_OBJECT_get0_X509_CRL(object)),
			    b->settings->crl_file);
		}
	}
}

/* Loads the authorities for clients' certificates, and the revocation list. */
static bool
load_authorities(struct building *b, SSL_CTX *ctx)
{
	const struct tls_settings *s = b->settings;
	STACK_OF(X509_NAME) * names;
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509_LOOKUP *lookup;

	if (s->auth_clients == TLS_AUTH_NO)
		return true;
	if (s->ca_cert_file[0] == '\0' && s->ca_cert_dir[0] == '\0') {
		snprintf(b->error, b->error_len,
		    "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when "
		    "tls-auth-clients is enabled");
		return false;
	}
	if (s->ca_cert_file[0] != '\0' && SSL_CTX_load_verify_file(ctx, s->ca_cert_file) != 1)
		return fail(b, "CA certificates", s->ca_cert_file);
	if (s->ca_cert_dir[0] != '\0' && SSL_CTX_load_verify_dir(ctx, s->ca_cert_dir) != 1)
		return fail(b, "CA certificates", s->ca_cert_dir);
	if (s->ca_cert_file[0] != '\0') {
		names = SSL_load_client_CA_file(s->ca_cert_file);
		if (names == NULL)
			return fail(b, "CA certificates", s->ca_cert_file);
		SSL_CTX_set_client_CA_list(ctx, names);
	}
	if (s->crl_file[0] != '\0') {
		/* Loads only lists: a certificate in this file must not become trusted. */
		lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
		if (lookup == NULL ||
		    X509_load_crl_file(lookup, s->crl_file, X509_FILETYPE_PEM) < 1)
			return fail(b, "certificate revocation list", s->crl_file);
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	}
	check_authorities(b, ctx);
	SSL_CTX_set_verify(ctx,
	    SSL_VERIFY_PEER |
		(s->auth_clients == TLS_AUTH_YES ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
	    NULL);
	return true;
}

static bool
set_protocols(struct building *b, SSL_CTX *ctx)
{
	static const struct {
		const char *name;
		uint64_t without;
	} versions[] = {
	    {"TLSv1", SSL_OP_NO_TLSv1},
	    {"TLSv1.1", SSL_OP_NO_TLSv1_1},
	    {"TLSv1.2", SSL_OP_NO_TLSv1_2},
	    {"TLSv1.3", SSL_OP_NO_TLSv1_3},
	};
	const uint64_t all =
	    SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3;
	uint64_t without = all;
	const char *at = b->settings->protocols;

	while (*at != '\0') {
		size_t len = strcspn(at, " \t"), i;

		for (i = 0; i < 4 && len > 0; i++)
			if (slice_is_nocase((struct slice){at, len}, versions[i].name))
				break;
		if (i == 4) {
			snprintf(b->error, b->error_len,
			    "tls-protocols: '%.*s': allowed are TLSv1, TLSv1.1, TLSv1.2, TLSv1.3",
			    (int)len, at);
			return false;
		}
		if (len > 0)
			without &= ~versions[i].without;
		at += len;
		at += strspn(at, " \t");
	}
	if (without == all) {
		snprintf(b->error, b->error_len, "tls-protocols: none is named");
		return false;
	}
	SSL_CTX_set_min_proto_version(ctx, 0);
	SSL_CTX_set_options(ctx, SSL_OP_NO_SSLv3 | without);
	return true;
}

static bool
set_ciphers(struct building *b, SSL_CTX *ctx)
{
	const struct tls_settings *s = b->settings;

	if (s->ciphers[0] != '\0' && SSL_CTX_set_cipher_list(ctx, s->ciphers) != 1)
		return fail(b, "tls-ciphers", s->ciphers);
	if (s->ciphersuites[0] != '\0' && SSL_CTX_set_ciphersuites(ctx, s->ciphersuites) != 1)
		return fail(b, "tls-ciphersuites", s->ciphersuites);
	/* No finite-field groups, and so no DHE: with the larger ones an unauthenticated client
	 * could make the loop compute for a tenth of a second at no cost to itself. */
	if (SSL_CTX_set1_groups_list(ctx, "X25519:P-256:X448:P-384:P-521") != 1)
		return fail(b, "OpenSSL", "");
	return true;
}

static bool
set_sessions(struct building *b, SSL_CTX *ctx)
{
	static const unsigned char id[] = "fanfare";
	const struct tls_settings *s = b->settings;

	/* Without this id, the session of a client with a certificate cannot be resumed. */
	SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1);
	if (!s->session_caching) {
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ctx, 0);
		return true;
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
	SSL_CTX_sess_set_cache_size(ctx, s->session_cache_size);
	SSL_CTX_set_timeout(ctx, s->session_cache_timeout_s);
	SSL_CTX_set_num_tickets(ctx, 1);
	if (!tls_tickets_use(b->tls->tickets, ctx))
		return fail(b, "session tickets", "");
	return true;
}

static bool
name_fits(const char *pattern, const char *name)
{
	const char *rest = strchr(name, '.');

	if (strncmp(pattern, "*.", 2) == 0)
		return rest != NULL && rest != name && strcasecmp(pattern + 1, rest) == 0;
	return strcasecmp(pattern, name) == 0;
}

static int
on_server_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls *tls = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	for (size_t i = 1; name != NULL && i < tls->count; i++) {
		if (!name_fits(tls->certificates[i].name, name))
			continue;
		return SSL_set_SSL_CTX(ssl, tls->certificates[i].ctx) != NULL
			   ? SSL_TLSEXT_ERR_OK
			   : SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	return SSL_TLSEXT_ERR_OK;
}

/* Adds a certificate; name NULL: for all other names. */
static bool
add_certificate(struct building *b, const char *name, const char *cert, const char *key)
{
	struct tls *tls = b->tls;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL)
		return fail(b, "OpenSSL", "");
	tls->certificates[tls->count++] =
	    (struct certificate){.name = name != NULL ? xstrdup(name) : NULL, .ctx = ctx};
	/*
	 * Record buffers are freed after use, because most connections are idle. A peer may close
	 * without a close_notify, as over TCP: no truncated RESP request is a valid other request.
	 */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(
	    ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF |
		     (b->settings->prefer_server_ciphers ? SSL_OP_CIPHER_SERVER_PREFERENCE : 0));
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_max_cert_list(ctx, CERTIFICATES_MAX);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
	SSL_CTX_set_tlsext_servername_arg(ctx, tls);
	return set_protocols(b, ctx) && set_ciphers(b, ctx) &&
	       load_certificate(b, ctx, cert, key) && load_authorities(b, ctx) &&
	       set_sessions(b, ctx);
}

static bool
add_certificates(struct building *b)
{
	const struct tls_settings *s = b->settings;
	struct tls *tls = b->tls;

	if (s->sni_count % 3 != 0) {
		snprintf(b->error, b->error_len,
		    "tls-sni: groups of three are allowed: name, certificate, key");
		return false;
	}
	if (s->cert_file[0] == '\0') {
		snprintf(b->error, b->error_len, "No tls-cert-file configured!");
		return false;
	}
	tls->certificates = xcalloc(1 + s->sni_count / 3, sizeof(*tls->certificates));
	if (!add_certificate(b, NULL, s->cert_file, s->key_file))
		return false;
	for (size_t i = 0; i < s->sni_count; i += 3)
		if (!add_certificate(b, s->sni[i], s->sni[i + 1], s->sni[i + 2]))
			return false;
	return true;
}

struct tls *
tls_new(const struct tls_settings *settings, char *error, size_t error_len)
{
	struct building b = {.settings = settings, .error = error, .error_len = error_len};

	ERR_clear_error();
	b.tls = xcalloc(1, sizeof(*b.tls));
	b.tls->user = settings->user;
	b.tls->tickets = tls_tickets_new(settings->session_cache_timeout_s);
	atomic_init(&b.tls->refs, 1);
	if (add_certificates(&b))
		return b.tls;
	tls_unref(b.tls);
	return NULL;
}

void
tls_unref(struct tls *tls)
{
	if (tls == NULL || atomic_fetch_sub(&tls->refs, 1) > 1)
		return;
	for (size_t i = 0; i < tls->count; i++) {
		xfree(tls->certificates[i].name);
		SSL_CTX_free(tls->certificates[i].ctx);
	}
	xfree(tls->certificates);
	tls_tickets_free(tls->tickets);
	xfree(tls->expiring);
	xfree(tls);
}

time_t
tls_expires(const struct tls *tls, const char **what)
{
	*what = tls->expiring;
	return tls->expires;
}

SSL *
tls_accept(struct tls *tls)
{
	SSL *ssl = SSL_new(tls->certificates[0].ctx);

	if (ssl == NULL) {
		ERR_clear_error();
		return NULL;
	}
	SSL_set_accept_state(ssl);
	atomic_fetch_add(&tls->refs, 1);
	return ssl;
}

void
tls_request_no_certificate(SSL *ssl)
{
	static const unsigned char id[] = "fanfare, no certificate";

	SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	SSL_set_session_id_context(ssl, id, sizeof(id) - 1);
}

/* Owned; NULL if it is empty or contains a NUL byte. */
static char *
text_of(const ASN1_STRING *string)
{
	unsigned char *utf8 = NULL;
	int len = string != NULL ? ASN1_STRING_to_UTF8(&utf8, string) : -1;
	char *text = NULL;

	if (len > 0 && memchr(utf8, '\0', (size_t)len) == NULL)
		text = xstrdup((const char *)utf8);
	OPENSSL_free(utf8);
	ERR_clear_error();
	return text;
}

static char *
common_name(X509 *certificate)
{
	const X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (at < 0)
		return NULL;
	return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

/* The first URI of its alternative names, else the first mail address, else the first host. */
static char *
alternative_name(X509 *certificate)
{
	static const int kinds[] = {GEN_URI, GEN_EMAIL, GEN_DNS};
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	char *text = NULL;

	for (size_t kind = 0; kind < 3 && text == NULL; kind++)
		for (int i = 0; i < sk_GENERAL_NAME_num(names) && text == NULL; i++) {
			const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

			if (name->type == kinds[kind])
				text = text_of(name->d.ia5);
		}
	GENERAL_NAMES_free(names);
	return text;
}

char *
tls_user_of(const struct tls *tls, const SSL *ssl)
{
	X509 *certificate;
	char *text = NULL;

	if (tls->user == TLS_USER_NO || SSL_get_verify_result(ssl) != X509_V_OK)
		return NULL;
	certificate = SSL_get1_peer_certificate(ssl);
	if (certificate == NULL)
		return NULL;
	text = tls->user == TLS_USER_CN ? common_name(certificate) : alternative_name(certificate);
	X509_free(certificate);
	return text;
}
