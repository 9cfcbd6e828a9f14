#include "config.h"

#include "cli/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/buffer.h"
#include "base/testing.h"

static struct buffer error;

static void
setup(void)
{
	error = (struct buffer){0};
}

static void
teardown(void)
{
	buffer_release(&error);
}

/* The name sent by SNI for a host, and the name or address required in the certificate. */
static void
check_name(const char *host, const char *sni, const char *asked, const char *name, const char *ip)
{
	struct tls_options options = {.enabled = true, .insecure = true, .sni = sni};
	struct tls_client *client = tls_client_new(&options, host, &error);
	SSL *ssl;
	X509_VERIFY_PARAM *param;
	char *wanted_ip;

	ck_assert_ptr_nonnull(client);
	ssl = tls_client_start(client);
	param = SSL_get0_param(ssl);
	wanted_ip = X509_VERIFY_PARAM_get1_ip_asc(param);
	ck_assert_pstr_eq(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), asked);
	ck_assert_pstr_eq(X509_VERIFY_PARAM_get0_host(param, 0), name);
	ck_assert_pstr_eq(wanted_ip, ip);
	OPENSSL_free(wanted_ip);
	SSL_free(ssl);
	tls_client_free(client);
}

START_TEST(a_name_is_asked_for_and_wanted)
{
	check_name("db.example.org", NULL, "db.example.org", "db.example.org", NULL);
	check_name("db.example.org.", NULL, "db.example.org", "db.example.org", NULL);
	check_name("10.0.0.1", "db.example.org", "db.example.org", "db.example.org", NULL);
}
END_TEST

START_TEST(an_address_is_wanted_but_not_asked_for)
{
	check_name("127.0.0.1", NULL, NULL, NULL, "127.0.0.1");
	check_name("::1", NULL, NULL, NULL, "0:0:0:0:0:0:0:1");
	check_name("fe80::1%eth0", NULL, NULL, NULL, "FE80:0:0:0:0:0:0:1");
	check_name("db.example.org", "10.0.0.1", NULL, NULL, "10.0.0.1");
}
END_TEST

static void
check_refused(struct tls_options options, const char *text)
{
	options.enabled = true;
	buffer_clear(&error);
	ck_assert_ptr_null(tls_client_new(&options, "localhost", &error));
	buffer_append(&error, "", 1);
	ck_assert_msg(strstr(error.ptr, text) != NULL, "%s", error.ptr);
}

START_TEST(a_name_that_would_not_be_checked_is_refused)
{
	char name[257];

	memset(name, 'x', sizeof(name) - 1);
	name[256] = '\0';
	check_refused((struct tls_options){.sni = name}, "1 to 255 bytes");
	check_refused((struct tls_options){.sni = ""}, "1 to 255 bytes");
	check_refused((struct tls_options){.sni = "%:"}, "1 to 255 bytes");
	check_name("localhost", name + 1, name + 1, name + 1, NULL);
}
END_TEST

START_TEST(what_cannot_be_used_is_named)
{
	check_refused(
	    (struct tls_options){.ca_path = "/nonexistent"}, "/nonexistent: No such file");
	check_refused((struct tls_options){.ca_dir = "/nonexistent"}, "/nonexistent: No such file");
	check_refused((struct tls_options){.ca_dir = "/dev/null"}, "/dev/null: Not a directory");
	check_refused((struct tls_options){.cert_path = "/dev/null"}, "/dev/null: ");
	check_refused((struct tls_options){.ciphers = "x"}, "--tls-ciphers: no cipher match");
	check_refused((struct tls_options){.ciphersuites = "x"}, "--tls-ciphersuites: ");
}
END_TEST

START_TEST(a_connection_speaks_tls_1_2_at_least)
{
	struct tls_client *client =
	    tls_client_new(&(struct tls_options){.insecure = true}, "h", &error);
	SSL *ssl = tls_client_start(client);

	ck_assert_int_eq(SSL_get_min_proto_version(ssl), TLS1_2_VERSION);
	SSL_free(ssl);
	tls_client_free(client);
}
END_TEST

START_TEST(certificates_are_verified_unless_any_will_do)
{
	for (int insecure = 0; insecure < 2; insecure++) {
		struct tls_options options = {.insecure = insecure};
		struct tls_client *client = tls_client_new(&options, "h", &error);
		SSL *ssl = tls_client_start(client);

		ck_assert_int_eq(
		    SSL_get_verify_mode(ssl), insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER);
		SSL_free(ssl);
		tls_client_free(client);
	}
}
END_TEST

int
main(void)
{
	return testing_main("cli/tls", setup, teardown,
	    (const TTest *[]){a_name_is_asked_for_and_wanted,
		an_address_is_wanted_but_not_asked_for, a_name_that_would_not_be_checked_is_refused,
		what_cannot_be_used_is_named, a_connection_speaks_tls_1_2_at_least,
		certificates_are_verified_unless_any_will_do, NULL});
}
