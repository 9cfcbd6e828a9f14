#include "config.h"

#include "token/key.h"

#include <assert.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <string.h>

#include "base/alloc.h"

enum {
	P256_BYTES = 32,
	ED25519_BYTES = 32,
	EXPONENT_BITS_MAX = 64, /* a larger one only makes verifying slow */
};

/* Either a secret or a public key. */
struct token_key {
	uint32_t algorithms;
	EVP_PKEY *pkey;
	unsigned char *secret; /* owned */
	size_t secret_len;
};

static struct token_key *
key_new(uint32_t algorithms)
{
	struct token_key *key = xcalloc(1, sizeof(*key));

	key->algorithms = algorithms;
	return key;
}

void
token_key_free(struct token_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	if (key->secret != NULL)
		OPENSSL_cleanse(key->secret, key->secret_len);
	xfree(key->secret);
	xfree(key);
}

struct token_key *
token_key_from_secret(struct slice secret, const char **why)
{
	struct token_key *key;
	uint32_t algorithms = TOKEN_ALGORITHM_BIT(TOKEN_HS256);

	if (secret.len < TOKEN_SECRET_BYTES_MIN) {
		*why = "a secret needs at least 32 bytes";
		return NULL;
	}
	if (secret.len > TOKEN_SECRET_BYTES_MAX) {
		*why = "a secret may have 4096 bytes at most";
		return NULL;
	}
	if (secret.len >= 48)
		algorithms |= TOKEN_ALGORITHM_BIT(TOKEN_HS384);
	if (secret.len >= 64)
		algorithms |= TOKEN_ALGORITHM_BIT(TOKEN_HS512);
	key = key_new(algorithms);
	key->secret = xmemdup(secret.ptr, secret.len);
	key->secret_len = secret.len;
	return key;
}

/* Returns NULL if the RSA key can be used, otherwise why not. */
static const char *
fault_of_rsa(const EVP_PKEY *pkey)
{
	BIGNUM *n = NULL, *e = NULL;
	const char *why = NULL;

	if (!EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) ||
	    !EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e))
		why = "invalid RSA key";
	else if (BN_num_bits(n) < TOKEN_RSA_BITS_MIN)
		why = "RSA key with less than 2048 bits";
	else if (BN_num_bits(n) > TOKEN_RSA_BITS_MAX)
		why = "RSA key with more than 8192 bits";
	else if (!BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e) ||
		 BN_num_bits(e) > EXPONENT_BITS_MAX)
		why = "invalid RSA key";
	BN_free(n);
	BN_free(e);
	return why;
}

static bool
is_p256(const EVP_PKEY *pkey)
{
	char group[32];
	size_t len;

	return EVP_PKEY_get_group_name(pkey, group, sizeof(group), &len) &&
	       strcmp(group, "prime256v1") == 0;
}

struct token_key *
token_key_from_pkey(EVP_PKEY *pkey, const char **why)
{
	struct token_key *key;
	uint32_t algorithms = 0;

	*why = NULL;
	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_RSA:
		*why = fault_of_rsa(pkey);
		algorithms = TOKEN_ALGORITHM_BIT(TOKEN_RS256);
		break;
	case EVP_PKEY_EC:
		if (!is_p256(pkey))
			*why = "elliptic curve other than P-256";
		algorithms = TOKEN_ALGORITHM_BIT(TOKEN_ES256);
		break;
	case EVP_PKEY_ED25519:
		algorithms = TOKEN_ALGORITHM_BIT(TOKEN_EDDSA);
		break;
	default:
		*why = "key that is not RSA, P-256 or Ed25519";
	}
	if (*why != NULL) {
		EVP_PKEY_free(pkey);
		return NULL;
	}
	key = key_new(algorithms);
	key->pkey = pkey;
	return key;
}

/* The public key of these parameters, or NULL. Frees build. */
static EVP_PKEY *
pkey_of(const char *type, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	ERR_clear_error();
	return pkey;
}

static BIGNUM *
number_of(struct slice bytes)
{
	BIGNUM *number = BN_bin2bn((const unsigned char *)bytes.ptr, (int)bytes.len, NULL);

	assert(number != NULL);
	return number;
}

struct token_key *
token_key_from_rsa(struct slice modulus, struct slice exponent, const char **why)
{
	OSSL_PARAM_BLD *build;
	BIGNUM *n, *e;
	EVP_PKEY *pkey;

	*why = "invalid RSA key";
	if (modulus.len == 0 || modulus.len > TOKEN_RSA_BITS_MAX / 8 + 1 || exponent.len == 0 ||
	    exponent.len > TOKEN_RSA_BITS_MAX / 8 + 1)
		return NULL;
	build = OSSL_PARAM_BLD_new();
	n = number_of(modulus);
	e = number_of(exponent);
	assert(build != NULL && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
	       OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e));
	pkey = pkey_of("RSA", build);
	BN_free(n);
	BN_free(e);
	return pkey != NULL ? token_key_from_pkey(pkey, why) : NULL;
}

struct token_key *
token_key_from_point(struct slice x, struct slice y, const char **why)
{
	unsigned char point[1 + 2 * P256_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
	OSSL_PARAM_BLD *build;
	EVP_PKEY *pkey;

	*why = "coordinates that are not a point of P-256";
	if (x.len != P256_BYTES || y.len != P256_BYTES)
		return NULL;
	memcpy(point + 1, x.ptr, P256_BYTES);
	memcpy(point + 1 + P256_BYTES, y.ptr, P256_BYTES);
	build = OSSL_PARAM_BLD_new();
	assert(
	    build != NULL &&
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)));
	pkey = pkey_of("EC", build);
	return pkey != NULL ? token_key_from_pkey(pkey, why) : NULL;
}

struct token_key *
token_key_from_ed25519(struct slice point, const char **why)
{
	EVP_PKEY *pkey;

	*why = "Ed25519 key whose length is not 32 bytes";
	if (point.len != ED25519_BYTES)
		return NULL;
	pkey = EVP_PKEY_new_raw_public_key(
	    EVP_PKEY_ED25519, NULL, (const unsigned char *)point.ptr, point.len);
	return pkey != NULL ? token_key_from_pkey(pkey, why) : NULL;
}

uint32_t
token_key_algorithms(const struct token_key *key)
{
	return key->algorithms;
}

bool
token_key_restrict(struct token_key *key, uint32_t algorithms)
{
	if ((key->algorithms & algorithms) == 0)
		return false;
	key->algorithms &= algorithms;
	return true;
}

static bool
verify_hmac(const struct token_key *key, const EVP_MD *hash, struct slice text, struct slice mac)
{
	unsigned char expected[EVP_MAX_MD_SIZE];
	unsigned len;

	if (HMAC(hash, key->secret, (int)key->secret_len, (const unsigned char *)text.ptr, text.len,
		expected, &len) == NULL)
		return false;
	return mac.len == len && CRYPTO_memcmp(mac.ptr, expected, len) == 0;
}

static bool
verify_public(
    const struct token_key *key, const EVP_MD *hash, struct slice text, struct slice signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool is_valid;

	is_valid = ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, hash, NULL, key->pkey) == 1 &&
		   EVP_DigestVerify(ctx, (const unsigned char *)signature.ptr, signature.len,
		       (const unsigned char *)text.ptr, text.len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return is_valid;
}

/* A signature of ES256 is r and s (RFC 7518, 3.4), OpenSSL wants them in DER. */
static bool
verify_p256(const struct token_key *key, struct slice text, struct slice pair)
{
	ECDSA_SIG *sig;
	BIGNUM *r, *s;
	unsigned char der[2 * P256_BYTES + 16], *end = der;
	int len;

	if (pair.len != 2 * (size_t)P256_BYTES)
		return false;
	sig = ECDSA_SIG_new();
	r = number_of((struct slice){pair.ptr, P256_BYTES});
	s = number_of((struct slice){pair.ptr + P256_BYTES, P256_BYTES});
	assert(sig != NULL && ECDSA_SIG_set0(sig, r, s)); /* which takes r and s */
	len = i2d_ECDSA_SIG(sig, NULL);
	assert(len > 0 && (size_t)len <= sizeof(der));
	len = i2d_ECDSA_SIG(sig, &end);
	ECDSA_SIG_free(sig);
	return verify_public(
	    key, EVP_sha256(), text, (struct slice){(const char *)der, (size_t)len});
}

bool
token_key_verifies(const struct token_key *key, enum token_algorithm algorithm, struct slice text,
    struct slice signature)
{
	assert((key->algorithms & TOKEN_ALGORITHM_BIT(algorithm)) != 0);
	switch (algorithm) {
	case TOKEN_HS256:
		return verify_hmac(key, EVP_sha256(), text, signature);
	case TOKEN_HS384:
		return verify_hmac(key, EVP_sha384(), text, signature);
	case TOKEN_HS512:
		return verify_hmac(key, EVP_sha512(), text, signature);
	case TOKEN_RS256:
		return verify_public(key, EVP_sha256(), text, signature);
	case TOKEN_ES256:
		return verify_p256(key, text, signature);
	case TOKEN_EDDSA:
		return verify_public(key, NULL, text, signature);
	}
	return false;
}
