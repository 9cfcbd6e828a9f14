#include "config.h"

#include "token/jwt.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "token/base64url.h"
#include "token/keys.h"
#include "token/testing_token.h"

static struct token_keys *keys;
static struct buffer claims;
static EVP_PKEY *pair;

static void
teardown(void)
{
	token_keys_unref(keys);
	keys = NULL;
	buffer_release(&claims);
	EVP_PKEY_free(pair);
	pair = NULL;
}

static void
use(struct token_key_sources sources)
{
	struct buffer error = {0};

	sources.public_key_path = "key.pem";
	sources.jwks_path = "keys.json";
	token_keys_unref(keys);
	keys = token_keys_new(&sources, &error);
	ck_assert_msg(keys != NULL, "%.*s", (int)error.len, error.ptr);
	buffer_release(&error);
}

static void
use_jwks(const char *jwks)
{
	use((struct token_key_sources){.jwks = slice_of(jwks)});
}

static void
use_secret(void)
{
	use((struct token_key_sources){.hmac_secret = SLICE(TESTING_SECRET)});
}

static void
use_pair(const char *type)
{
	char *pem;

	EVP_PKEY_free(pair);
	pair = testing_pair(type);
	pem = testing_public_pem(pair);
	use((struct token_key_sources){.public_keys = slice_of(pem)});
	xfree(pem);
}

static enum token_fault
fault_of(const char *token)
{
	buffer_clear(&claims);
	return token_verify(keys, slice_of(token), &claims);
}

/* Frees token. */
static void
expect(char *token, enum token_fault fault)
{
	enum token_fault got = fault_of(token);

	ck_assert_msg(got == fault, "%s instead of %s: %s", token_fault_name(got),
	    token_fault_name(fault), token);
	ck_assert((claims.len == 0) == (fault != TOKEN_OK));
	xfree(token);
}

static void
expect_claims(const char *token, const char *text)
{
	enum token_fault fault = fault_of(token);

	ck_assert_str_eq(token_fault_name(fault), "valid");
	ck_assert(slice_is(buffer_slice(&claims), text));
}

/* The claims of RFC 7515, A.1 to A.3. */
#define RFC_CLAIMS                                                                                 \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0" \
	"cnVlfQ"
#define RFC_CLAIMS_TEXT                                                                            \
	"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"

START_TEST(hs256_of_rfc_7515_a_1_is_verified)
{
	use_jwks("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
		 "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}]}");
	expect_claims("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_CLAIMS
		      ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
	    RFC_CLAIMS_TEXT);
}
END_TEST

START_TEST(rs256_of_rfc_7515_a_2_is_verified)
{
	use_jwks(
	    "{\"keys\":[{\"kty\":\"RSA\",\"n\":"
	    "\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJ"
	    "PMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LO"
	    "L-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxv"
	    "b3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW"
	    "9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}]}");
	expect_claims(
	    "eyJhbGciOiJSUzI1NiJ9." RFC_CLAIMS
	    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt"
	    "_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIA"
	    "RNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
	    "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77R"
	    "w",
	    RFC_CLAIMS_TEXT);
}
END_TEST

#define ES256_JWKS                                                                                 \
	"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9" \
	"uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"

START_TEST(es256_of_rfc_7515_a_3_is_verified)
{
	use_jwks(ES256_JWKS);
	expect_claims("eyJhbGciOiJFUzI1NiJ9." RFC_CLAIMS
		      ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJ"
		      "qPP3-Kg6NU1Q",
	    RFC_CLAIMS_TEXT);
}
END_TEST

START_TEST(eddsa_of_rfc_8037_a_4_is_verified)
{
	use_jwks("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
		 "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}");
	expect_claims("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
		      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvp"
		      "Ar_MuM0KAg",
	    "Example of Ed25519 signing");
}
END_TEST

START_TEST(each_hmac_is_verified_with_its_own_hash_only)
{
	use_secret();
	expect(testing_token_hmac("{\"alg\":\"HS384\"}", "{}", SLICE(TESTING_SECRET), EVP_sha384()),
	    TOKEN_OK);
	expect(testing_token_hmac("{\"alg\":\"HS512\"}", "{}", SLICE(TESTING_SECRET), EVP_sha512()),
	    TOKEN_OK);
	expect(testing_token_hmac("{\"alg\":\"HS256\"}", "{}", SLICE(TESTING_SECRET), EVP_sha512()),
	    TOKEN_BAD_SIGNATURE);
	expect(testing_token_hmac("{\"alg\":\"HS512\"}", "{}", SLICE(TESTING_SECRET), EVP_sha256()),
	    TOKEN_BAD_SIGNATURE);
}
END_TEST

START_TEST(a_secret_of_32_bytes_is_too_short_for_hs384)
{
	struct slice secret = SLICE("exactly thirty-two bytes, no mor");

	use((struct token_key_sources){.hmac_secret = secret});
	expect(testing_token_hmac("{\"alg\":\"HS256\"}", "{}", secret, EVP_sha256()), TOKEN_OK);
	expect(
	    testing_token_hmac("{\"alg\":\"HS384\"}", "{}", secret, EVP_sha384()), TOKEN_ALGORITHM);
}
END_TEST

START_TEST(each_key_pair_of_a_pem_file_is_verified)
{
	use_pair("RSA");
	expect(testing_token_signed(pair, "{\"alg\":\"RS256\"}", "{}"), TOKEN_OK);
	use_pair("P-256");
	expect(testing_token_signed(pair, "{\"alg\":\"ES256\"}", "{}"), TOKEN_OK);
	use_pair("ED25519");
	expect(testing_token_signed(pair, "{\"alg\":\"EdDSA\"}", "{}"), TOKEN_OK);
	expect(testing_token_signed(pair, "{\"alg\":\"Ed25519\"}", "{}"), TOKEN_OK);
	expect(testing_token_signed(pair, "{\"alg\":\"ES256\"}", "{}"), TOKEN_ALGORITHM);
}
END_TEST

/* The attack on libraries that take the algorithm from the token. */
START_TEST(a_public_key_is_never_a_secret)
{
	char *pem;

	use_pair("RSA");
	pem = testing_public_pem(pair);
	expect(testing_token_hmac("{\"alg\":\"HS256\"}", "{}", slice_of(pem), EVP_sha256()),
	    TOKEN_ALGORITHM);
	use((struct token_key_sources){
	    .public_keys = slice_of(pem), .hmac_secret = SLICE(TESTING_SECRET)});
	expect(testing_token_hmac("{\"alg\":\"HS256\"}", "{}", slice_of(pem), EVP_sha256()),
	    TOKEN_BAD_SIGNATURE);
	expect(testing_token("{\"alg\":\"HS256\"}", "{}"), TOKEN_OK);
	expect(testing_token("{\"alg\":\"RS256\"}", "{}"), TOKEN_BAD_SIGNATURE);
	xfree(pem);
}
END_TEST

START_TEST(no_token_without_a_signature_is_valid)
{
	static const char *const headers[] = {"{\"alg\":\"none\"}", "{\"alg\":\"None\"}",
	    "{\"alg\":\"NONE\"}", "{\"alg\":\"nOnE\"}", "{\"alg\":\"\"}", "{\"alg\":null}",
	    "{\"typ\":\"JWT\"}", "{\"alg\":0}", "{\"alg\":[\"HS256\"]}", "{\"alg\":\"hs256\"}",
	    "{\"alg\":\"HS256\\u0000\"}", "{\"alg\":\"HS256 \"}", "{\"alg\":\"HS1\"}"};

	use_secret();
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		char *header = testing_base64url(headers[i], strlen(headers[i]));

		expect(xasprintf("%s.e30.", header), TOKEN_ALGORITHM);
		expect(testing_token(headers[i], "{}"), TOKEN_ALGORITHM);
		xfree(header);
	}
	expect(xstrdup("eyJhbGciOiJIUzI1NiJ9.e30."), TOKEN_BAD_SIGNATURE);
}
END_TEST

START_TEST(extensions_that_the_header_demands_are_refused)
{
	use_secret();
	expect(testing_token("{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}", "{}"),
	    TOKEN_CRITICAL);
	expect(testing_token("{\"alg\":\"HS256\",\"crit\":[]}", "{}"), TOKEN_CRITICAL);
	expect(testing_token("{\"alg\":\"HS256\",\"cr\\u0069t\":null}", "{}"), TOKEN_CRITICAL);
}
END_TEST

START_TEST(a_member_of_the_header_that_is_there_twice_is_refused)
{
	use_secret();
	expect(testing_token("{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "{}"), TOKEN_MALFORMED);
	expect(testing_token("{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}", "{}"), TOKEN_MALFORMED);
	expect(testing_token("{\"alg\":\"HS256\",\"kid\":\"a\",\"kid\":\"b\"}", "{}"),
	    TOKEN_MALFORMED);
}
END_TEST

START_TEST(names_and_values_may_be_escaped)
{
	use_secret();
	expect(testing_token("{\"\\u0061lg\":\"HS\\u0032\\u0035\\u0036\"}", "{}"), TOKEN_OK);
}
END_TEST

START_TEST(keys_in_the_header_are_not_looked_at)
{
	use_secret();
	expect(testing_token_hmac("{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":"
				  "\"YXR0YWNrZXIga2V5IG9mIHRoaXJ0eS10d28gYnl0ZXMu\"},"
				  "\"jku\":\"http://127.0.0.1/keys\",\"x5u\":\"/etc/passwd\"}",
		   "{}", SLICE("attacker key of thirty-two bytes."), EVP_sha256()),
	    TOKEN_BAD_SIGNATURE);
}
END_TEST

START_TEST(a_key_id_is_looked_up_and_nothing_else)
{
	char *huge = xmalloc(10001), *header;

	memset(huge, 'k', 10000);
	huge[10000] = '\0';
	header = xasprintf("{\"alg\":\"HS256\",\"kid\":\"%s\"}", huge);
	use_jwks("{\"keys\":[{\"kty\":\"oct\",\"kid\":\"one\",\"k\":"
		 "\"c2VjcmV0IG51bWJlciBvbmUgaGFzIHRoaXJ0eS10d28gYnl0ZXMh\"}]}");
	expect(testing_token("{\"alg\":\"HS256\",\"kid\":\"../../../dev/null\"}", "{}"),
	    TOKEN_UNKNOWN_KEY);
	expect(testing_token("{\"alg\":\"HS256\",\"kid\":\"\"}", "{}"), TOKEN_UNKNOWN_KEY);
	expect(
	    testing_token("{\"alg\":\"HS256\",\"kid\":\"one\\u0000\"}", "{}"), TOKEN_UNKNOWN_KEY);
	expect(testing_token("{\"alg\":\"HS256\",\"kid\":\"' or 1=1\"}", "{}"), TOKEN_UNKNOWN_KEY);
	expect(testing_token(header, "{}"), TOKEN_UNKNOWN_KEY);
	expect(testing_token("{\"alg\":\"HS256\",\"kid\":1}", "{}"), TOKEN_MALFORMED);
	expect(testing_token("{\"alg\":\"HS256\",\"kid\":\"\\ud800\"}", "{}"), TOKEN_MALFORMED);
	expect(testing_token("{\"alg\":\"HS256\",\"kid\":\"one\"}", "{}"), TOKEN_BAD_SIGNATURE);
	expect(testing_token("{\"alg\":\"ES256\",\"kid\":\"one\"}", "{}"), TOKEN_ALGORITHM);
	xfree(header);
	xfree(huge);
}
END_TEST

/* Frees token; replaces its n-th character by c. */
static char *
with(char *token, size_t n, char c)
{
	token[n] = c;
	return token;
}

START_TEST(anything_but_three_parts_of_base64url_is_refused)
{
	static const char *const texts[] = {"", ".", "..", "...", "a", "a.b", "a.b.c.d",
	    "a.b.c.d.e", "eyJhbGciOiJIUzI1NiJ9", ".e30.AAAA", "e30",
	    " eyJhbGciOiJIUzI1NiJ9.e30.AAAA", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA.",
	    "eyJhbGciOiJIUzI1NiJ9==.e30.AAAA",
	    "eyJhbGciOiJIUzI1NiJ9.e30.AAAA==", "eyJhbGciOiJIUzI1NiJ9.e30.AA+A", "W10.e30.AAAA",
	    "bnVsbA.e30.AAAA", "IkhTMjU2Ig.e30.AAAA"};
	char *whole;

	use_secret();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		expect(xstrdup(texts[i]), TOKEN_MALFORMED);
	whole = testing_token("{\"alg\":\"HS256\"}", "{}");
	expect(xasprintf("%s.", whole), TOKEN_MALFORMED);
	expect(whole, TOKEN_OK);
}
END_TEST

START_TEST(no_second_spelling_of_a_signature_is_valid)
{
	char *token;
	size_t last;

	use_secret();
	token = testing_token("{\"alg\":\"HS256\"}", "{}");
	last = strlen(token) - 1;
	ck_assert_int_eq(fault_of(token), TOKEN_OK);
	/* 32 bytes leave two bits of the last character, which must be 0: the next characters of
	 * the alphabet decode to the same bytes elsewhere. */
	token[last]++;
	expect(token, TOKEN_MALFORMED);
	token = testing_token("{\"alg\":\"HS256\"}", "{}");
	expect(with(token, last, '\0'), TOKEN_MALFORMED);
}
END_TEST

START_TEST(a_change_of_any_character_is_noticed)
{
	char *token;
	size_t len;

	use_secret();
	token = testing_token("{\"alg\":\"HS256\"}", "{\"sub\":\"alice\"}");
	len = strlen(token);
	for (size_t i = 0; i < len; i++) {
		char before = token[i];

		token[i] = before == 'A' ? 'B' : 'A';
		ck_assert_int_ne(fault_of(token), TOKEN_OK);
		token[i] = before;
	}
	expect(token, TOKEN_OK);
}
END_TEST

/* n of P-256, and one less and more than what r and s may be. */
static const char order[] = "\xFF\xFF\xFF\xFF\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
			    "\xBC\xE6\xFA\xAD\xA7\x17\x9E\x84\xF3\xB9\xCA\xC2\xFC\x63\x25\x51";

/* The token of RFC 7515, A.3 with this signature. */
static void
expect_signature(const char *bytes, size_t len)
{
	char *text = testing_base64url(bytes, len);
	struct buffer token = {0};

	buffer_append_str(&token, "eyJhbGciOiJFUzI1NiJ9." RFC_CLAIMS ".");
	buffer_append(&token, text, strlen(text) + 1);
	expect(token.ptr, TOKEN_BAD_SIGNATURE);
	xfree(text);
}

static void
expect_pair(const char *r, const char *s)
{
	char both[64];

	memcpy(both, r, 32);
	memcpy(both + 32, s, 32);
	expect_signature(both, sizeof(both));
}

START_TEST(numbers_of_es256_must_be_between_0_and_the_order)
{
	static const char zero[32], one[32] = {[31] = 1};
	char ones[32];

	memset(ones, 0xFF, sizeof(ones));
	use_jwks(ES256_JWKS);
	expect_pair(zero, zero);
	expect_pair(zero, one);
	expect_pair(one, zero);
	expect_pair(order, order);
	expect_pair(order, one);
	expect_pair(one, order);
	expect_pair(ones, ones);
	expect_pair(one, one);
}
END_TEST

START_TEST(a_signature_of_es256_has_64_bytes)
{
	unsigned char bytes[72] = {0};
	const char *signature = (const char *)bytes;
	size_t len;

	use_jwks(ES256_JWKS);
	ck_assert(base64url_decode(
	    SLICE("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
		  "Kg6NU1Q"),
	    bytes + 1, &len));
	ck_assert_uint_eq(len, 64);
	expect_signature(signature, 65);
	expect_signature(signature + 1, 63);
	expect_signature(signature + 1, 65);
	expect_signature(signature, 0);
}
END_TEST

/* As OpenSSL writes it. */
START_TEST(a_signature_of_es256_in_der_is_refused)
{
	unsigned char der[80];
	size_t len = sizeof(der);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	static const char text[] = "eyJhbGciOiJFUzI1NiJ9." RFC_CLAIMS;

	use_pair("P-256");
	ck_assert_int_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pair), 1);
	ck_assert_int_eq(
	    EVP_DigestSign(ctx, der, &len, (const unsigned char *)text, sizeof(text) - 1), 1);
	EVP_MD_CTX_free(ctx);
	expect_signature((const char *)der, len);
}
END_TEST

START_TEST(a_huge_signature_is_not_decoded)
{
	char *token = xmalloc(12000);

	use_secret();
	strcpy(token, "eyJhbGciOiJIUzI1NiJ9.e30.");
	memset(token + strlen(token), 'A', 8001);
	token[8000] = '\0';
	expect(token, TOKEN_MALFORMED);
}
END_TEST

START_TEST(keys_without_an_id_are_tried_one_after_the_other)
{
	EVP_PKEY *old = testing_pair("P-256"), *fresh = testing_pair("P-256");
	EVP_PKEY *other = testing_pair("P-256");
	char *old_pem = testing_public_pem(old), *fresh_pem = testing_public_pem(fresh);
	char *both = xasprintf("# before\n%s\n# between\n%s", old_pem, fresh_pem);

	use((struct token_key_sources){.public_keys = slice_of(both)});
	ck_assert_uint_eq(token_keys_count(keys), 2);
	expect(testing_token_signed(old, "{\"alg\":\"ES256\",\"kid\":\"x\"}", "{}"), TOKEN_OK);
	expect(testing_token_signed(fresh, "{\"alg\":\"ES256\"}", "{}"), TOKEN_OK);
	expect(testing_token_signed(other, "{\"alg\":\"ES256\"}", "{}"), TOKEN_BAD_SIGNATURE);
	xfree(old_pem);
	xfree(fresh_pem);
	xfree(both);
	EVP_PKEY_free(old);
	EVP_PKEY_free(fresh);
	EVP_PKEY_free(other);
}
END_TEST

int
main(void)
{
	return testing_main("token/jwt", NULL, teardown,
	    (const TTest *[]){hs256_of_rfc_7515_a_1_is_verified, rs256_of_rfc_7515_a_2_is_verified,
		es256_of_rfc_7515_a_3_is_verified, eddsa_of_rfc_8037_a_4_is_verified,
		each_hmac_is_verified_with_its_own_hash_only,
		a_secret_of_32_bytes_is_too_short_for_hs384,
		each_key_pair_of_a_pem_file_is_verified, a_public_key_is_never_a_secret,
		no_token_without_a_signature_is_valid,
		extensions_that_the_header_demands_are_refused,
		a_member_of_the_header_that_is_there_twice_is_refused,
		names_and_values_may_be_escaped, keys_in_the_header_are_not_looked_at,
		a_key_id_is_looked_up_and_nothing_else,
		anything_but_three_parts_of_base64url_is_refused,
		no_second_spelling_of_a_signature_is_valid, a_change_of_any_character_is_noticed,
		numbers_of_es256_must_be_between_0_and_the_order, a_signature_of_es256_has_64_bytes,
		a_signature_of_es256_in_der_is_refused, a_huge_signature_is_not_decoded,
		keys_without_an_id_are_tried_one_after_the_other, NULL});
}
