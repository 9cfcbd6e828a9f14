#include "config.h"

#include "token/testing_token.h"

#include <check.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"

enum { SIGNATURE_ROOM = 1024, P256_BYTES = 32 };

char *
testing_base64url(const void *bytes, size_t len)
{
	char *text = xcalloc(1, (len + 2) / 3 * 4 + 1);
	int text_len = EVP_EncodeBlock((unsigned char *)text, bytes, (int)len);

	for (int i = 0; i < text_len; i++) {
		if (text[i] == '+')
			text[i] = '-';
		else if (text[i] == '/')
			text[i] = '_';
	}
	text[strcspn(text, "=")] = '\0';
	return text;
}

static char *
part_of(const char *text)
{
	return testing_base64url(text, strlen(text));
}

/* "header.claims" */
static char *
to_be_signed(const char *header, const char *claims)
{
	char *head = part_of(header), *body = part_of(claims);
	char *both = xasprintf("%s.%s", head, body);

	xfree(head);
	xfree(body);
	return both;
}

/* Frees text. */
static char *
with_signature(char *text, const unsigned char *signature, size_t len)
{
	char *encoded = testing_base64url(signature, len);
	char *token = xasprintf("%s.%s", text, encoded);

	xfree(encoded);
	xfree(text);
	return token;
}

char *
testing_token_hmac(const char *header, const char *claims, struct slice secret, const EVP_MD *hash)
{
	char *text = to_be_signed(header, claims);
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = sizeof(mac);

	ck_assert_ptr_nonnull(HMAC(hash, secret.ptr, (int)secret.len, (const unsigned char *)text,
	    strlen(text), mac, &len));
	return with_signature(text, mac, len);
}

char *
testing_token(const char *header, const char *claims)
{
	return testing_token_hmac(header, claims, SLICE(TESTING_SECRET), EVP_sha256());
}

/* r and s instead of their DER. */
static size_t
flatten(unsigned char *signature, size_t len)
{
	const unsigned char *at = signature;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);

	ck_assert_ptr_nonnull(sig);
	ck_assert_int_eq(BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, P256_BYTES), P256_BYTES);
	ck_assert_int_eq(
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + P256_BYTES, P256_BYTES), P256_BYTES);
	ECDSA_SIG_free(sig);
	return 2 * (size_t)P256_BYTES;
}

char *
testing_token_signed(EVP_PKEY *pair, const char *header, const char *claims)
{
	char *text = to_be_signed(header, claims);
	bool is_edwards = EVP_PKEY_get_base_id(pair) == EVP_PKEY_ED25519;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char signature[SIGNATURE_ROOM];
	size_t len = sizeof(signature);

	ck_assert_int_eq(
	    EVP_DigestSignInit(ctx, NULL, is_edwards ? NULL : EVP_sha256(), NULL, pair), 1);
	ck_assert_int_eq(
	    EVP_DigestSign(ctx, signature, &len, (const unsigned char *)text, strlen(text)), 1);
	EVP_MD_CTX_free(ctx);
	if (EVP_PKEY_get_base_id(pair) == EVP_PKEY_EC)
		len = flatten(signature, len);
	return with_signature(text, signature, len);
}

EVP_PKEY *
testing_pair(const char *type)
{
	EVP_PKEY *pair;

	if (strcmp(type, "RSA") == 0)
		pair = EVP_RSA_gen(2048);
	else if (strcmp(type, "ED25519") == 0)
		pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		pair = EVP_EC_gen(type);
	ck_assert_ptr_nonnull(pair);
	return pair;
}

char *
testing_public_pem(EVP_PKEY *pair)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes, *pem;
	long len;

	ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, pair), 1);
	len = BIO_get_mem_data(bio, &bytes);
	pem = xcalloc(1, (size_t)len + 1);
	memcpy(pem, bytes, (size_t)len);
	BIO_free(bio);
	return pem;
}
