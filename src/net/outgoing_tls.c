#include "config.h"

#include "net/outgoing_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

struct outgoing_tls {
	SSL_CTX *context;
	char *name;
};

static bool
is_set(const char *text)
{
	return text != NULL && text[0] != '\0';
}

/* Reports the first of OpenSSL's errors, which is the cause of the others. */
static bool
fail(const char *what, const char *file, char *error, size_t error_len)
{
	unsigned long code = ERR_get_error();
	const char *why = code == 0                ? "no reason given"
			  : ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code))
						   : ERR_reason_error_string(code);

	snprintf(error, error_len, "%s%s%s: %s", what, file[0] != '\0' ? " " : "", file,
	    why != NULL ? why : "unknown error");
	ERR_clear_error();
	return false;
}

static bool
set_authorities(
    SSL_CTX *context, const struct outgoing_tls_settings *s, char *error, size_t error_len)
{
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (is_set(s->ca_cert_file) && SSL_CTX_load_verify_file(context, s->ca_cert_file) != 1)
		return fail("CA certificates", s->ca_cert_file, error, error_len);
	if (is_set(s->ca_cert_dir) && SSL_CTX_load_verify_dir(context, s->ca_cert_dir) != 1)
		return fail("CA certificates", s->ca_cert_dir, error, error_len);
	if (!is_set(s->ca_cert_file) && !is_set(s->ca_cert_dir) &&
	    SSL_CTX_set_default_verify_paths(context) != 1)
		return fail("CA certificates", "of the system", error, error_len);
	return true;
}

static bool
set_certificate(
    SSL_CTX *context, const struct outgoing_tls_settings *s, char *error, size_t error_len)
{
	const char *key = is_set(s->key_file) ? s->key_file : s->cert_file;

	if (!is_set(s->cert_file))
		return true;
	if (SSL_CTX_use_certificate_chain_file(context, s->cert_file) != 1)
		return fail("certificate", s->cert_file, error, error_len);
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(context) != 1)
		return fail("key", key, error, error_len);
	return true;
}

struct outgoing_tls *
outgoing_tls_new(
    const struct outgoing_tls_settings *settings, const char *host, char *error, size_t error_len)
{
	struct outgoing_tls *tls = xcalloc(1, sizeof(*tls));

	ERR_clear_error();
	tls->name = xstrdup(is_set(settings->name) ? settings->name : host);
	tls->context = SSL_CTX_new(TLS_client_method());
	if (tls->context == NULL) {
		(void)fail("OpenSSL", "", error, error_len);
		outgoing_tls_free(tls);
		return NULL;
	}
	SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
	SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					   SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(tls->context, SSL_OP_IGNORE_UNEXPECTED_EOF);
	if (!set_authorities(tls->context, settings, error, error_len) ||
	    !set_certificate(tls->context, settings, error, error_len)) {
		outgoing_tls_free(tls);
		return NULL;
	}
	return tls;
}

void
outgoing_tls_free(struct outgoing_tls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->context);
	xfree(tls->name);
	xfree(tls);
}

/* A numeric address is compared with the addresses in the certificate, and is not sent as the
 * server's name (SNI). */
SSL *
outgoing_tls_start(const struct outgoing_tls *tls)
{
	SSL *ssl = SSL_new(tls->context);

	if (ssl == NULL)
		return NULL;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), tls->name) != 1 &&
	    (SSL_set1_host(ssl, tls->name) != 1 || SSL_set_tlsext_host_name(ssl, tls->name) != 1)) {
		SSL_free(ssl); /* without the name, any certificate would be accepted */
		ssl = NULL;
	}
	ERR_clear_error();
	if (ssl != NULL)
		SSL_set_connect_state(ssl);
	return ssl;
}
