#include "config.h"

#include "net/tls.h"

#include <check.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "net/testing_certificates.h"

static struct tls_settings settings;

static void
setup(void)
{
	testing_certificates_setup();
	settings = testing_tls_settings();
}

static void
expect_error(const char *wanted)
{
	char error[512] = "";

	ck_assert_ptr_null(tls_new(&settings, error, sizeof(error)));
	ck_assert_msg(strcmp(error, wanted) == 0, "'%s' is not '%s'", error, wanted);
	settings = testing_tls_settings();
}

static void
expect_error_of_file(const char *what, const char *file, const char *why)
{
	char wanted[512];

	snprintf(wanted, sizeof(wanted), "%s %s: %s", what, file, why);
	expect_error(wanted);
}

/* Writes a text file in the folder; returns its path. */
static const char *
write_file(const char *name, const char *text)
{
	const char *path = testing_certificates_path(name);
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	return path;
}

/* Client and server, connected through memory. */
struct pair {
	SSL *client, *server;
	struct tls *tls;
	bool is_up;
};

static struct pair
pair_with(struct tls *tls, SSL *client)
{
	struct pair pair = {.client = client, .server = tls_accept(tls), .tls = tls};
	BIO *ours, *theirs;

	ck_assert_ptr_nonnull(pair.server);
	ck_assert_int_eq(BIO_new_bio_pair(&ours, 0, &theirs, 0), 1);
	SSL_set_bio(pair.server, ours, ours);
	SSL_set_bio(client, theirs, theirs);
	for (int i = 0; i < 10; i++) {
		char byte;

		(void)SSL_do_handshake(client);
		(void)SSL_do_handshake(pair.server);
		(void)SSL_read(client, &byte, 1); /* tickets, and alerts */
	}
	pair.is_up = SSL_is_init_finished(client) && SSL_is_init_finished(pair.server);
	return pair;
}

static void
part(struct pair *pair)
{
	SSL_free(pair->client);
	SSL_free(pair->server);
	tls_unref(pair->tls);
}

static bool
shakes_hands(struct tls *tls, int version, const char *certificate)
{
	struct pair pair = pair_with(tls, testing_tls_client(version, certificate));
	bool is_up = pair.is_up;

	part(&pair);
	return is_up;
}

START_TEST(files_that_do_not_fit_are_named)
{
	settings.cert_file = "";
	expect_error("No tls-cert-file configured!");
	settings.cert_file = "/nowhere.pem";
	expect_error_of_file("certificate", "/nowhere.pem", "No such file or directory");
	settings.key_file = "/nowhere.key";
	expect_error_of_file("key", "/nowhere.key", "No such file or directory");
	settings.cert_file = write_file("empty.pem", "");
	expect_error_of_file(
	    "certificate", testing_certificates_path("empty.pem"), "no start line");
	settings.key_file = testing_certificates_path("client.key");
	expect_error_of_file("key", testing_certificates_path("client.key"), "key values mismatch");
	settings.key_file = ""; /* in the certificate's file, which has no key */
	expect_error_of_file("key", testing_certificates_path("server.pem"), "unsupported");
}
END_TEST

START_TEST(an_encrypted_key_needs_its_password)
{
	char error[512] = "";

	testing_certificates_add(
	    &(struct testing_certificate){.name = "secret", .password = "open sesame"});
	for (int i = 0; i < 3; i++) {
		static const char *const passwords[] = {"", "wrong", "open sesame"};
		struct tls *tls;

		settings.cert_file = testing_certificates_path("secret.pem");
		settings.key_file = testing_certificates_path("secret.key");
		settings.key_file_pass = passwords[i];
		tls = tls_new(&settings, error, sizeof(error));
		ck_assert_msg((tls != NULL) == (i == 2), "%s", error);
		if (tls == NULL)
			ck_assert_ptr_eq(strstr(error, "key "), error);
		ck_assert_ptr_null(strstr(error, "sesame"));
		tls_unref(tls);
	}
}
END_TEST

START_TEST(clients_are_checked_against_an_authority)
{
	settings.auth_clients = TLS_AUTH_YES;
	expect_error("Either tls-ca-cert-file or tls-ca-cert-dir must be specified when "
		     "tls-auth-clients is enabled");
	settings.auth_clients = TLS_AUTH_OPTIONAL;
	settings.ca_cert_file = "/nowhere.pem";
	expect_error_of_file("CA certificates", "/nowhere.pem", "No such file or directory");
	settings.auth_clients = TLS_AUTH_YES;
	settings.ca_cert_file = testing_certificates_path("ca.pem");
	settings.crl_file = "/nowhere.crl";
	expect_error_of_file(
	    "certificate revocation list", "/nowhere.crl", "No such file or directory");
}
END_TEST

START_TEST(rules_that_name_nothing_are_refused)
{
	static char a[] = "a", b[] = "b";
	static char *const two[] = {a, b};

	settings.protocols = "TLSv1.2 SSLv3";
	expect_error("tls-protocols: 'SSLv3': allowed are TLSv1, TLSv1.1, TLSv1.2, TLSv1.3");
	settings.protocols = " ";
	expect_error("tls-protocols: none is named");
	settings.ciphers = "NOTHING";
	expect_error("tls-ciphers NOTHING: no cipher match");
	settings.ciphersuites = "NOTHING";
	expect_error("tls-ciphersuites NOTHING: no cipher match");
	settings.sni = two;
	settings.sni_count = 2;
	expect_error("tls-sni: groups of three are allowed: name, certificate, key");
}
END_TEST

START_TEST(only_the_protocols_named_are_spoken)
{
	struct tls *tls;

	settings.protocols = " tlsv1.2\t";
	tls = testing_tls(&settings);
	ck_assert(shakes_hands(tls, TLS1_2_VERSION, NULL));
	ck_assert(!shakes_hands(tls, TLS1_3_VERSION, NULL));
	ck_assert(!shakes_hands(tls, TLS1_1_VERSION, NULL));
	tls_unref(tls);
	settings.protocols = "TLSv1.3";
	tls = testing_tls(&settings);
	ck_assert(!shakes_hands(tls, TLS1_2_VERSION, NULL));
	ck_assert(shakes_hands(tls, TLS1_3_VERSION, NULL));
	tls_unref(tls);
}
END_TEST

/* Such an exchange costs the client nothing, and the server a tenth of a second or more. */
START_TEST(no_client_may_ask_for_an_exchange_of_keys_that_takes_long)
{
	static const char *const groups[] = {"X25519", "P-256", "P-384", "P-521", "X448",
	    "ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"};
	struct tls *tls = testing_tls(&settings);

	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		SSL *client = testing_tls_client(TLS1_3_VERSION, NULL);
		struct pair pair;

		ck_assert_int_eq(SSL_set1_groups_list(client, groups[i]), 1);
		pair = pair_with(tls, client);
		ck_assert_msg(pair.is_up == (i < 5), "%s", groups[i]);
		part(&pair);
	}
	tls_unref(tls);
}
END_TEST

START_TEST(clients_need_a_certificate_that_counts)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct tls *yes, *optional;

	testing_certificates_add(&(struct testing_certificate){.name = "old", .days = -1});
	testing_certificates_add(&(struct testing_certificate){.name = "bad"});
	testing_certificates_revoke("list.crl", "bad.pem", 50);
	settings.auth_clients = TLS_AUTH_YES;
	settings.ca_cert_file = testing_certificates_path("ca.pem");
	settings.crl_file = testing_certificates_path("list.crl");
	yes = testing_tls(&settings);
	settings.auth_clients = TLS_AUTH_OPTIONAL;
	optional = testing_tls(&settings);
	for (int i = 0; i < 2; i++) {
		ck_assert(shakes_hands(yes, versions[i], "client"));
		ck_assert(!shakes_hands(yes, versions[i], NULL));
		ck_assert(!shakes_hands(yes, versions[i], "old"));
		ck_assert(!shakes_hands(yes, versions[i], "bad"));
		ck_assert(shakes_hands(optional, versions[i], "client"));
		ck_assert(shakes_hands(optional, versions[i], NULL));
		ck_assert(!shakes_hands(optional, versions[i], "old"));
		ck_assert(!shakes_hands(optional, versions[i], "bad"));
	}
	tls_unref(yes);
	tls_unref(optional);
}
END_TEST

static void
expect_expiry(int days, const char *file)
{
	struct tls *tls = testing_tls(&settings);
	const char *what;
	time_t at = tls_expires(tls, &what);

	ck_assert_str_eq(what, file);
	ck_assert_int_lt(labs((long)(at - time(NULL)) - days * 86400L), 600);
	tls_unref(tls);
}

START_TEST(the_first_of_all_to_expire_is_told)
{
	static char name[] = "b.example.org";
	char cert[256], key[256];
	char *sni[] = {name, cert, key};

	expect_expiry(100, settings.cert_file);
	testing_certificates_revoke("list.crl", NULL, 50);
	settings.auth_clients = TLS_AUTH_YES;
	settings.ca_cert_file = testing_certificates_path("ca.pem");
	expect_expiry(100, settings.cert_file);
	settings.crl_file = testing_certificates_path("list.crl");
	expect_expiry(50, settings.crl_file);
	testing_certificates_add(&(struct testing_certificate){.name = "soon", .days = 7});
	snprintf(cert, sizeof(cert), "%s", testing_certificates_path("soon.pem"));
	snprintf(key, sizeof(key), "%s", testing_certificates_path("soon.key"));
	settings.sni = sni;
	settings.sni_count = 3;
	expect_expiry(7, cert);
	testing_certificates_add(&(struct testing_certificate){.name = "server", .days = 400});
	settings = testing_tls_settings();
	settings.auth_clients = TLS_AUTH_YES;
	settings.ca_cert_file = testing_certificates_path("ca.pem");
	expect_expiry(300, settings.ca_cert_file);
}
END_TEST

static void
expect_certificate(struct tls *tls, const char *asked, const char *wanted)
{
	SSL *client = testing_tls_client(0, NULL);
	struct pair pair;
	X509 *x509;
	char cn[64];

	if (asked != NULL)
		SSL_set_tlsext_host_name(client, asked);
	pair = pair_with(tls, client);
	ck_assert(pair.is_up);
	x509 = SSL_get1_peer_certificate(client);
	X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, cn, sizeof(cn));
	ck_assert_str_eq(cn, wanted);
	X509_free(x509);
	part(&pair);
}

START_TEST(the_name_asked_for_chooses_the_certificate)
{
	char paths[4][256], one[] = "one.example.org", all[] = "*.example.org";
	char *sni[] = {one, paths[0], paths[1], all, paths[2], paths[3]};
	struct tls *tls;

	testing_certificates_add(&(struct testing_certificate){.name = "one"});
	testing_certificates_add(&(struct testing_certificate){.name = "all"});
	snprintf(paths[0], sizeof(paths[0]), "%s", testing_certificates_path("one.pem"));
	snprintf(paths[1], sizeof(paths[1]), "%s", testing_certificates_path("one.key"));
	snprintf(paths[2], sizeof(paths[2]), "%s", testing_certificates_path("all.pem"));
	snprintf(paths[3], sizeof(paths[3]), "%s", testing_certificates_path("all.key"));
	settings.sni = sni;
	settings.sni_count = 6;
	tls = testing_tls(&settings);
	expect_certificate(tls, NULL, "server");
	expect_certificate(tls, "one.example.org", "one");
	expect_certificate(tls, "ONE.Example.org", "one");
	expect_certificate(tls, "two.example.org", "all");
	expect_certificate(tls, "a.two.example.org", "server");
	expect_certificate(tls, "example.org", "server");
	expect_certificate(tls, "localhost", "server");
	tls_unref(tls);
}
END_TEST

static void
expect_user(const char *certificate, const char *wanted)
{
	struct tls *tls = testing_tls(&settings);
	struct pair pair = pair_with(tls, testing_tls_client(0, certificate));
	char *user = tls_user_of(tls, pair.server);

	ck_assert(pair.is_up);
	if (wanted == NULL)
		ck_assert_ptr_null(user);
	else
		ck_assert_str_eq(user, wanted);
	xfree(user);
	part(&pair);
	tls_unref(tls);
}

START_TEST(a_certificate_names_its_user)
{
	testing_certificates_add(&(struct testing_certificate){
	    .name = "full", .cn = "bob", .host = "bob.example.org", .mail = "bob@example.org"});
	testing_certificates_add(&(struct testing_certificate){.name = "cut",
	    .cn = "admin\0.example.org",
	    .cn_len = 18,
	    .host = "admin\0.example.org",
	    .host_len = 18});
	settings.auth_clients = TLS_AUTH_OPTIONAL;
	settings.ca_cert_file = testing_certificates_path("ca.pem");
	expect_user("full", NULL);
	settings.user = TLS_USER_CN;
	expect_user("full", "bob");
	expect_user("client", "client");
	expect_user("cut", NULL);
	expect_user(NULL, NULL);
	settings.user = TLS_USER_SAN;
	expect_user("full", "bob@example.org");
	expect_user("client", NULL);
	expect_user("cut", NULL);
	expect_user(NULL, NULL);
}
END_TEST

/* True if a client's session with `before` can be resumed with `after`. */
static bool
resumes(struct tls *before, struct tls *after, int version, const char *certificate)
{
	struct pair pair = pair_with(before, testing_tls_client(version, certificate));
	SSL_SESSION *session = SSL_get1_session(pair.client);
	SSL *client = testing_tls_client(version, certificate);
	bool resumed;

	ck_assert(pair.is_up);
	SSL_shutdown(pair.client); /* a session without a close_notify is not resumed */
	SSL_shutdown(pair.server);
	part(&pair);
	SSL_set_session(client, session);
	SSL_SESSION_free(session);
	pair = pair_with(after, client);
	ck_assert(pair.is_up);
	resumed = SSL_session_reused(pair.server);
	ck_assert_int_eq(resumed, SSL_session_reused(client));
	if (certificate != NULL) {
		char *user = tls_user_of(after, pair.server);

		ck_assert_str_eq(user, certificate);
		xfree(user);
	}
	part(&pair);
	return resumed;
}

START_TEST(sessions_are_resumed_by_the_tls_that_made_them)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	settings.auth_clients = TLS_AUTH_OPTIONAL;
	settings.ca_cert_file = testing_certificates_path("ca.pem");
	settings.user = TLS_USER_CN;
	for (int i = 0; i < 2; i++) {
		struct tls *one, *other;

		settings.session_caching = true;
		one = testing_tls(&settings);
		other = testing_tls(&settings);
		ck_assert(resumes(one, one, versions[i], NULL));
		ck_assert(resumes(one, one, versions[i], "client"));
		ck_assert(!resumes(one, other, versions[i], "client"));
		tls_unref(other);
		settings.session_caching = false;
		other = testing_tls(&settings);
		ck_assert(!resumes(other, other, versions[i], NULL));
		ck_assert(!resumes(one, other, versions[i], NULL));
		tls_unref(other);
		tls_unref(one);
	}
}
END_TEST

int
main(void)
{
	return testing_main("net/tls", setup, testing_certificates_teardown,
	    (const TTest *[]){files_that_do_not_fit_are_named, an_encrypted_key_needs_its_password,
		clients_are_checked_against_an_authority, rules_that_name_nothing_are_refused,
		only_the_protocols_named_are_spoken,
		no_client_may_ask_for_an_exchange_of_keys_that_takes_long,
		clients_need_a_certificate_that_counts, the_first_of_all_to_expire_is_told,
		the_name_asked_for_chooses_the_certificate, a_certificate_names_its_user,
		sessions_are_resumed_by_the_tls_that_made_them, NULL});
}
