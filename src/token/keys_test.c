#include "config.h"

#include "token/keys.h"

#include <check.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "token/key.h"
#include "token/testing_token.h"

static struct token_keys *keys;
static struct buffer error;

static void
teardown(void)
{
	token_keys_unref(keys);
	keys = NULL;
	buffer_release(&error);
}

static bool
loads(struct token_key_sources sources)
{
	sources.public_key_path = "key.pem";
	sources.jwks_path = "keys.json";
	token_keys_unref(keys);
	buffer_clear(&error);
	keys = token_keys_new(&sources, &error);
	return keys != NULL;
}

static void
expect_error(struct token_key_sources sources, const char *text)
{
	ck_assert_msg(!loads(sources), "%s", text);
	ck_assert_msg(slice_is(buffer_slice(&error), text), "%.*s instead of %s", (int)error.len,
	    error.ptr, text);
}

static void
expect_jwks(const char *jwks, size_t count)
{
	ck_assert_msg(loads((struct token_key_sources){.jwks = slice_of(jwks)}), "%.*s: %s",
	    (int)error.len, error.ptr, jwks);
	ck_assert_uint_eq(token_keys_count(keys), count);
}

static void
refuse_jwks(const char *jwks, const char *text)
{
	expect_error((struct token_key_sources){.jwks = slice_of(jwks)}, text);
}

static void
refuse_pem(const char *pem, const char *text)
{
	expect_error((struct token_key_sources){.public_keys = slice_of(pem)}, text);
}

static size_t
found(enum token_algorithm algorithm, const char *id, enum token_fault *fault)
{
	const struct token_key *list[TOKEN_KEYS_WITHOUT_ID_MAX];
	struct slice name = slice_of(id != NULL ? id : "");

	return token_keys_find(keys, algorithm, id != NULL ? &name : NULL, list, fault);
}

/* Strings of a key. The secret has 32 bytes. */
#define SECRET "\"kty\":\"oct\",\"k\":\"c2VjcmV0IG51bWJlciBvbmUgaGFzIHRoaXJ0eS10d28gYnl0ZXMh\""
#define POINT                                                                                      \
	"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","  \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define EDWARDS                                                                                    \
	"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"                               \
	"7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define KEYS(keys) "{\"keys\":[" keys "]}"

START_TEST(no_source_is_an_empty_set)
{
	ck_assert(loads((struct token_key_sources){.jwks = SLICE("")}));
	ck_assert_uint_eq(token_keys_count(keys), 0);
}
END_TEST

START_TEST(a_secret_needs_32_bytes)
{
	ck_assert(loads(
	    (struct token_key_sources){.hmac_secret = SLICE("exactly thirty-two bytes, no mor")}));
	expect_error(
	    (struct token_key_sources){.hmac_secret = SLICE("only thirty-one bytes, too few.")},
	    "token-hmac-secret: a secret needs at least 32 bytes");
}
END_TEST

START_TEST(a_set_has_keys_of_all_kinds)
{
	expect_jwks(KEYS("{" SECRET "},{" POINT ",\"kid\":\"p\"},{" EDWARDS ",\"kid\":\"e\"}"), 3);
}
END_TEST

START_TEST(keys_for_other_purposes_are_skipped)
{
	expect_jwks(
	    KEYS("{" EDWARDS "},{" POINT ",\"use\":\"enc\"},{" POINT ",\"alg\":\"ECDH-ES\"},"
		 "{" POINT ",\"key_ops\":[\"deriveKey\"]},{\"kty\":\"quantum\"},"
		 "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\"},"
		 "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AA\"},"
		 "{\"kty\":\"RSA\",\"alg\":\"RSA-OAEP\",\"n\":\"AA\",\"e\":\"AQAB\"},"
		 "{\"kty\":\"RSA\",\"alg\":\"PS256\",\"n\":\"AA\",\"e\":\"AQAB\"},"
		 "{" SECRET ",\"alg\":\"ES256\"},{" POINT ",\"alg\":\"HS256\"},"
		 "{" POINT ",\"alg\":\"none\"}"),
	    1);
}
END_TEST

START_TEST(purposes_that_include_verifying_are_taken)
{
	expect_jwks(KEYS("{" EDWARDS ",\"use\":\"sig\",\"alg\":\"EdDSA\"},"
			 "{" EDWARDS ",\"alg\":\"Ed25519\"},"
			 "{" POINT ",\"key_ops\":[\"sign\",\"verify\"],\"x5c\":[\"ignored\"]}"),
	    3);
}
END_TEST

START_TEST(a_set_without_a_usable_key_is_refused)
{
	static const char text[] =
	    "keys.json: no key for HS256, HS384, HS512, RS256, ES256 or EdDSA (Ed25519)";

	refuse_jwks(KEYS(""), text);
	refuse_jwks(KEYS("{" POINT ",\"use\":\"enc\"}"), text);
}
END_TEST

START_TEST(what_is_no_key_set_is_refused)
{
	static const char *const texts[] = {"x", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]",
	    "{\"keys\":[],\"keys\":[]}", "null", "{\"keys\":null}", "{" POINT "}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		refuse_jwks(texts[i], "keys.json: not a JSON Web Key Set ({\"keys\":[...]})");
}
END_TEST

START_TEST(damaged_keys_are_refused_with_their_number)
{
	refuse_jwks(KEYS("{" EDWARDS "},1"), "keys.json: key 2: it is not an object");
	refuse_jwks(KEYS("{}"), "keys.json: key 1: the key has no type (\"kty\")");
	refuse_jwks(KEYS("{" SECRET ",\"kty\":\"oct\"}"),
	    "keys.json: key 1: a member of the key is there twice");
	refuse_jwks(KEYS("{" SECRET ",\"kid\":7}"),
	    "keys.json: key 1: a member of the key is not a string, or too long");
	refuse_jwks(
	    KEYS("{" SECRET ",\"kid\":\"\"}"), "keys.json: key 1: a key id has 1 to 256 bytes");
	refuse_jwks(KEYS("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}"),
	    "keys.json: key 1: Ed25519 key whose length is not 32 bytes");
	refuse_jwks(KEYS("{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}"),
	    "keys.json: key 1: Ed25519 key whose length is not 32 bytes");
	refuse_jwks(KEYS("{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}"),
	    "keys.json: key 1: invalid RSA key");
	refuse_jwks(KEYS("{\"kty\":\"RSA\",\"e\":\"AQAB\"}"), "keys.json: key 1: invalid RSA key");
}
END_TEST

START_TEST(a_point_outside_the_curve_is_refused)
{
	refuse_jwks(KEYS("{\"kty\":\"EC\",\"crv\":\"P-256\","
			 "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
			 "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}"),
	    "keys.json: key 1: coordinates that are not a point of P-256");
	refuse_jwks(KEYS("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}"),
	    "keys.json: key 1: coordinates that are not a point of P-256");
}
END_TEST

START_TEST(a_private_key_is_refused)
{
	refuse_jwks(KEYS("{" EDWARDS ",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}"),
	    "keys.json: key 1: private key; only the public key is needed");
}
END_TEST

START_TEST(a_repeated_key_id_is_refused)
{
	refuse_jwks(KEYS("{" EDWARDS ",\"kid\":\"a\"},{" POINT ",\"kid\":\"\\u0061\"}"),
	    "keys.json: key 2: another key has the same key id");
	expect_jwks(KEYS("{" EDWARDS ",\"kid\":\"a\"},{" POINT ",\"kid\":\"b\"}"), 2);
}
END_TEST

START_TEST(a_short_secret_is_refused)
{
	refuse_jwks(KEYS("{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}"),
	    "keys.json: key 1: a secret needs at least 32 bytes");
	refuse_jwks(KEYS("{" SECRET ",\"alg\":\"HS512\"}"),
	    "keys.json: key 1: the secret is too short for its algorithm");
}
END_TEST

/* A JWKS with the numbers of an RSA key. */
static char *
rsa_jwks(const unsigned char *n, size_t n_len, const char *e)
{
	char *text = testing_base64url(n, n_len);
	char *jwks = xasprintf("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}]}", text, e);

	xfree(text);
	return jwks;
}

static void
expect_rsa(size_t n_len, unsigned char first, const char *e, const char *text)
{
	unsigned char n[1100];
	char *jwks;

	memset(n, 0xFF, sizeof(n));
	n[0] = first;
	jwks = rsa_jwks(n, n_len, e);
	if (text == NULL)
		expect_jwks(jwks, 1);
	else
		refuse_jwks(jwks, text);
	xfree(jwks);
}

START_TEST(rsa_keys_have_2048_to_8192_bits)
{
	expect_rsa(256, 0x80, "AQAB", NULL);
	expect_rsa(256, 0x7F, "AQAB", "keys.json: key 1: RSA key with less than 2048 bits");
	expect_rsa(128, 0xFF, "AQAB", "keys.json: key 1: RSA key with less than 2048 bits");
	expect_rsa(1024, 0xFF, "AQAB", NULL);
	expect_rsa(1025, 0x01, "AQAB", "keys.json: key 1: RSA key with more than 8192 bits");
	expect_rsa(1100, 0xFF, "AQAB", "keys.json: key 1: invalid RSA key");
}
END_TEST

START_TEST(exponents_of_rsa_keys_are_odd_above_1_and_short)
{
	expect_rsa(256, 0x80, "Aw", NULL);
	expect_rsa(256, 0x80, "AQ", "keys.json: key 1: invalid RSA key");
	expect_rsa(256, 0x80, "AA", "keys.json: key 1: invalid RSA key");
	expect_rsa(256, 0x80, "AQAA", "keys.json: key 1: invalid RSA key");
	expect_rsa(256, 0x80, "AQAAAAAAAAAB", "keys.json: key 1: invalid RSA key");
}
END_TEST

static void
expect_pem(const char *type, const char *text)
{
	EVP_PKEY *pair = testing_pair(type);
	char *pem = testing_public_pem(pair);

	if (text == NULL)
		ck_assert(loads((struct token_key_sources){.public_keys = slice_of(pem)}));
	else
		refuse_pem(pem, text);
	xfree(pem);
	EVP_PKEY_free(pair);
}

START_TEST(pem_has_public_keys_of_three_kinds)
{
	expect_pem("RSA", NULL);
	expect_pem("P-256", NULL);
	expect_pem("ED25519", NULL);
	expect_pem("P-384", "key.pem: key 1: elliptic curve other than P-256");
	expect_pem("secp256k1", "key.pem: key 1: elliptic curve other than P-256");
}
END_TEST

START_TEST(pem_of_other_things_is_refused)
{
	EVP_PKEY *pair = testing_pair("P-256");
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes;

	ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, pair, NULL, NULL, 0, NULL, NULL), 1);
	ck_assert_int_gt(BIO_get_mem_data(bio, &bytes), 0);
	ck_assert_int_eq(BIO_write(bio, "", 1), 1);
	ck_assert_int_gt(BIO_get_mem_data(bio, &bytes), 0);
	refuse_pem(bytes, "key.pem: key 1: private key; only the public key is needed");
	BIO_free(bio);
	EVP_PKEY_free(pair);
	refuse_pem("ssh-ed25519 AAAAC3Nza me@example",
	    "key.pem: no public key in PEM (\"-----BEGIN PUBLIC KEY-----\")");
	refuse_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
	    "key.pem: key 1: damaged or unknown public key");
	refuse_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n", "key.pem: key 1: damaged block");
	refuse_pem("-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n",
	    "key.pem: key 1: block that is neither PUBLIC KEY nor CERTIFICATE");
	refuse_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	    "key.pem: key 1: damaged or unknown public key");
}
END_TEST

START_TEST(a_file_of_more_than_1_mib_is_refused)
{
	size_t len = TOKEN_KEY_FILE_BYTES_MAX + 1;
	char *text = xmalloc(len);

	memset(text, ' ', len);
	expect_error((struct token_key_sources){.jwks = {text, len}},
	    "keys.json: a file of keys has at most 1048576 bytes");
	expect_error((struct token_key_sources){.public_keys = {text, len}},
	    "key.pem: a file of keys has at most 1048576 bytes");
	xfree(text);
}
END_TEST

/* `count` copies of a key, with ids or without. */
static char *
many(unsigned count, bool with_ids)
{
	struct buffer text = {0};

	buffer_append_str(&text, "{\"keys\":[");
	for (unsigned i = 0; i < count; i++) {
		buffer_appendf(&text, "%s{" SECRET, i > 0 ? "," : "");
		if (with_ids)
			buffer_appendf(&text, ",\"kid\":\"%u\"", i);
		buffer_append_str(&text, "}");
	}
	buffer_append(&text, "]}", 3);
	return text.ptr;
}

START_TEST(the_number_of_keys_is_bounded)
{
	char *text = many(TOKEN_KEYS_MAX, true);

	expect_jwks(text, TOKEN_KEYS_MAX);
	xfree(text);
	text = many(TOKEN_KEYS_MAX + 1, true);
	refuse_jwks(text, "keys.json: key 257: there are more than 256 keys");
	xfree(text);
	text = many(TOKEN_KEYS_WITHOUT_ID_MAX, false);
	expect_jwks(text, TOKEN_KEYS_WITHOUT_ID_MAX);
	xfree(text);
	text = many(TOKEN_KEYS_WITHOUT_ID_MAX + 1, false);
	refuse_jwks(text, "keys.json: key 9: there are more than 8 keys without a key id");
	xfree(text);
}
END_TEST

START_TEST(a_known_key_id_finds_that_key_only)
{
	enum token_fault fault;

	expect_jwks(KEYS("{" EDWARDS ",\"kid\":\"e\"},{" POINT ",\"kid\":\"p\"},{" POINT "}"), 3);
	ck_assert_uint_eq(found(TOKEN_EDDSA, "e", &fault), 1);
	ck_assert_uint_eq(found(TOKEN_ES256, "p", &fault), 1);
	ck_assert_uint_eq(found(TOKEN_ES256, "e", &fault), 0);
	ck_assert_int_eq(fault, TOKEN_ALGORITHM);
}
END_TEST

START_TEST(an_unknown_key_id_finds_the_keys_without_id)
{
	enum token_fault fault;

	expect_jwks(KEYS("{" EDWARDS ",\"kid\":\"e\"},{" POINT "},{" POINT "}"), 3);
	ck_assert_uint_eq(found(TOKEN_ES256, "x", &fault), 2);
	ck_assert_uint_eq(found(TOKEN_EDDSA, "x", &fault), 0);
	ck_assert_int_eq(fault, TOKEN_UNKNOWN_KEY);
	ck_assert_uint_eq(found(TOKEN_RS256, "x", &fault), 0);
	ck_assert_int_eq(fault, TOKEN_ALGORITHM);
}
END_TEST

START_TEST(a_token_without_key_id_may_have_the_only_key_of_its_algorithm)
{
	enum token_fault fault;

	expect_jwks(KEYS("{" EDWARDS ",\"kid\":\"e\"},{" POINT ",\"kid\":\"p\"},"
			 "{" POINT ",\"kid\":\"q\"}"),
	    3);
	ck_assert_uint_eq(found(TOKEN_EDDSA, NULL, &fault), 1);
	ck_assert_uint_eq(found(TOKEN_ES256, NULL, &fault), 0);
	ck_assert_int_eq(fault, TOKEN_UNKNOWN_KEY);
}
END_TEST

int
main(void)
{
	return testing_main("token/keys", NULL, teardown,
	    (const TTest *[]){no_source_is_an_empty_set, a_secret_needs_32_bytes,
		a_set_has_keys_of_all_kinds, keys_for_other_purposes_are_skipped,
		purposes_that_include_verifying_are_taken, a_set_without_a_usable_key_is_refused,
		what_is_no_key_set_is_refused, damaged_keys_are_refused_with_their_number,
		a_point_outside_the_curve_is_refused, a_private_key_is_refused,
		a_repeated_key_id_is_refused, a_short_secret_is_refused,
		rsa_keys_have_2048_to_8192_bits, exponents_of_rsa_keys_are_odd_above_1_and_short,
		pem_has_public_keys_of_three_kinds, pem_of_other_things_is_refused,
		a_file_of_more_than_1_mib_is_refused, the_number_of_keys_is_bounded,
		a_known_key_id_finds_that_key_only, an_unknown_key_id_finds_the_keys_without_id,
		a_token_without_key_id_may_have_the_only_key_of_its_algorithm, NULL});
}
