#include "config.h"

#include "cli/tls.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buffer.h"

struct tls_client {
	SSL_CTX *context;
	char *name; /* requested by SNI and required in the certificate */
};

const char *
tls_options_fault(const struct tls_options *o)
{
	if (!o->enabled && (o->ca_path != NULL || o->ca_dir != NULL || o->cert_path != NULL ||
			       o->key_path != NULL || o->sni != NULL || o->ciphers != NULL ||
			       o->ciphersuites != NULL || o->insecure))
		return "--cacert, --cacertdir, --cert, --key, --sni, --tls-ciphers, "
		       "--tls-ciphersuites and --insecure need --tls or a rediss:// URL";
	if (o->key_path != NULL && o->cert_path == NULL)
		return "--key needs --cert";
	return NULL;
}

static const char *
reason_of(unsigned long code)
{
	const char *text;

	if (code == 0)
		return "no reason given";
	if (ERR_SYSTEM_ERROR(code))
		return strerror(ERR_GET_REASON(code));
	text = ERR_reason_error_string(code);
	return text != NULL ? text : "unknown error";
}

/* The first of OpenSSL's errors is the cause of the others. */
static bool
refuse(struct buffer *error, const char *what)
{
	buffer_appendf(error, "%s: %s", what, reason_of(ERR_get_error()));
	ERR_clear_error();
	return false;
}

/* OpenSSL accepts any path and later finds nothing there. */
static bool
check_folder(const char *path, struct buffer *error)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return true;
	buffer_appendf(error, "%s: %s", path, strerror(errno != 0 ? errno : ENOTDIR));
	return false;
}

static bool
set_authorities(SSL_CTX *context, const struct tls_options *o, struct buffer *error)
{
	SSL_CTX_set_verify(context, o->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (o->ca_path != NULL && SSL_CTX_load_verify_file(context, o->ca_path) != 1)
		return refuse(error, o->ca_path);
	errno = 0;
	if (o->ca_dir != NULL && !check_folder(o->ca_dir, error))
		return false;
	if (o->ca_dir != NULL && SSL_CTX_load_verify_dir(context, o->ca_dir) != 1)
		return refuse(error, o->ca_dir);
	if (o->ca_path == NULL && o->ca_dir == NULL && !o->insecure &&
	    SSL_CTX_set_default_verify_paths(context) != 1)
		return refuse(error, "the system's certificate authorities");
	return true;
}

static bool
set_certificate(SSL_CTX *context, const struct tls_options *o, struct buffer *error)
{
	const char *key = o->key_path != NULL ? o->key_path : o->cert_path;

	if (o->cert_path == NULL)
		return true;
	if (SSL_CTX_use_certificate_chain_file(context, o->cert_path) != 1)
		return refuse(error, o->cert_path);
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(context) != 1)
		return refuse(error, key);
	return true;
}

static bool
set_ciphers(SSL_CTX *context, const struct tls_options *o, struct buffer *error)
{
	if (o->ciphers != NULL && SSL_CTX_set_cipher_list(context, o->ciphers) != 1)
		return refuse(error, "--tls-ciphers");
	if (o->ciphersuites != NULL && SSL_CTX_set_ciphersuites(context, o->ciphersuites) != 1)
		return refuse(error, "--tls-ciphersuites");
	return true;
}

/* The form in certificates: without the zone of an address or the final dot of a name. */
static char *
name_of(const char *host)
{
	char *name = xstrdup(host);
	size_t len = strlen(name);

	if (strchr(name, ':') != NULL)
		name[strcspn(name, "%")] = '\0';
	else if (len > 1 && name[len - 1] == '.')
		name[len - 1] = '\0';
	return name;
}

struct tls_client *
tls_client_new(const struct tls_options *o, const char *host, struct buffer *error)
{
	struct tls_client *client = xcalloc(1, sizeof(*client));

	ERR_clear_error();
	client->name = name_of(o->sni != NULL ? o->sni : host);
	client->context = SSL_CTX_new(TLS_client_method());
	assert(client->context != NULL);
	/* For OpenSSL an empty name matches any certificate. */
	if (client->name[0] == '\0' || strlen(client->name) > TLSEXT_MAXLEN_host_name) {
		buffer_appendf(error, "a server's name has 1 to %d bytes: '%s'",
		    TLSEXT_MAXLEN_host_name, client->name);
		tls_client_free(client);
		return NULL;
	}
	SSL_CTX_set_min_proto_version(client->context, TLS1_2_VERSION);
	SSL_CTX_set_mode(client->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					      SSL_MODE_RELEASE_BUFFERS);
	/* Most servers close the socket without a close_notify; treat it as a normal end. */
	SSL_CTX_set_options(client->context, SSL_OP_IGNORE_UNEXPECTED_EOF);
	if (!set_authorities(client->context, o, error) ||
	    !set_certificate(client->context, o, error) ||
	    !set_ciphers(client->context, o, error)) {
		tls_client_free(client);
		return NULL;
	}
	return client;
}

void
tls_client_free(struct tls_client *client)
{
	if (client == NULL)
		return;
	SSL_CTX_free(client->context);
	xfree(client->name);
	xfree(client);
}

SSL *
tls_client_start(struct tls_client *client)
{
	SSL *ssl = SSL_new(client->context);
	bool ok = ssl != NULL;

	assert(ok);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	/* An address is compared with the addresses of the certificate, and is not sent as SNI. */
	if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), client->name) != 1)
		ok = SSL_set1_host(ssl, client->name) == 1 &&
		     SSL_set_tlsext_host_name(ssl, client->name) == 1;
	/* If the name could not be set, any certificate would match. */
	assert(ok);
	ERR_clear_error();
	SSL_set_connect_state(ssl);
	return ssl;
}

void
tls_say_goodbye(SSL *ssl)
{
	if (SSL_is_init_finished(ssl))
		(void)SSL_shutdown(ssl);
	ERR_clear_error();
}

static void
explain_certificate(long verdict, struct buffer *out)
{
	const char *text = X509_verify_cert_error_string(verdict);

	switch (verdict) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		buffer_appendf(out,
		    "the server's certificate is for another name than the given one: %s", text);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		buffer_appendf(out,
		    "the server's certificate is not signed by a trusted authority "
		    "(--cacert names one): %s",
		    text);
		break;
	default:
		buffer_appendf(out, "the server's certificate is invalid: %s", text);
	}
}

/* An alert: the reason that the server gave for the end, RFC 8446 6.2. */
static void
explain_alert(SSL *ssl, int alert, struct buffer *out)
{
	const char *text = SSL_alert_desc_string_long(alert);

	switch (alert) {
	case SSL_AD_CERTIFICATE_REQUIRED:
		buffer_append_str(out, "the server requires a certificate (--cert and --key)");
		break;
	case SSL_AD_HANDSHAKE_FAILURE:
		buffer_append_str(
		    out, SSL_get_certificate(ssl) == NULL
			     ? "the server refused the handshake: it may require a certificate "
			       "(--cert and --key), or other ciphers"
			     : "the server refused the handshake: it may require other ciphers");
		break;
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
		buffer_appendf(out, "the server refused our certificate: %s", text);
		break;
	default:
		buffer_appendf(out, "the server ended the TLS connection: %s", text);
	}
}

static void
explain_code(SSL *ssl, unsigned long code, struct buffer *out)
{
	int reason = ERR_GET_REASON(code);

	if (ERR_GET_LIB(code) != ERR_LIB_SSL) {
		buffer_appendf(out, "TLS: %s", reason_of(code));
	} else if (reason == SSL_R_WRONG_VERSION_NUMBER) {
		buffer_append_str(out, "the server does not speak TLS on this port");
	} else if (reason == SSL_R_UNSUPPORTED_PROTOCOL ||
		   reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION) {
		buffer_append_str(out, "the server speaks neither TLS 1.2 nor TLS 1.3");
	} else if (reason > SSL_AD_REASON_OFFSET) {
		explain_alert(ssl, reason - SSL_AD_REASON_OFFSET, out);
	} else {
		buffer_appendf(out, "TLS: %s", reason_of(code));
	}
}

void
tls_explain(SSL *ssl, unsigned long code, int system_error, struct buffer *out)
{
	bool shaken = SSL_is_init_finished(ssl);
	long verdict = SSL_get_verify_result(ssl);
	char byte;

	if (code == 0 && system_error != 0) {
		/* A write failed; the server's alert may still be unread. */
		ERR_clear_error();
		if (SSL_peek(ssl, &byte, 1) <= 0)
			code = ERR_get_error();
		if (ERR_SYSTEM_ERROR(code))
			code = 0;
	}
	ERR_clear_error();
	if (!shaken && verdict != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
		explain_certificate(verdict, out);
	else if (code != 0 && (ERR_GET_LIB(code) != ERR_LIB_SSL ||
				  ERR_GET_REASON(code) != SSL_R_UNEXPECTED_EOF_WHILE_READING))
		explain_code(ssl, code, out);
	else if (!shaken)
		buffer_appendf(out, "the server closed the connection during the TLS handshake: %s",
		    tls_suspicion(true));
	else
		buffer_append_str(out, system_error != 0 ? strerror(system_error)
							 : "the server closed the connection");
}

const char *
tls_suspicion(bool tls)
{
	return tls ? "the port may not use TLS"
		   : "the port may use TLS (--tls, or rediss:// in a URL)";
}
