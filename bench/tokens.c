#include "config.h"

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * Tokens for bench/edge: prints COUNT tokens (JWT, ES256), one a line, and writes the public key to
 * FILE. Token N is valid for an hour and allows subscriptions to news and user.N.
 */
#define HEADER "{\"alg\":\"ES256\",\"typ\":\"JWT\"}"
#define VALID_S 3600
#define NUMBER_LEN 32 /* bytes of r and of s (RFC 7518, 3.4) */

static void
check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "tokens: cannot %s\n", what);
	exit(1);
}

/* Returns the length. */
static size_t
put_base64url(char *out, const void *bytes, size_t len)
{
	size_t text_len = (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);

	while (text_len > 0 && out[text_len - 1] == '=')
		text_len--;
	for (size_t i = 0; i < text_len; i++) {
		if (out[i] == '+')
			out[i] = '-';
		else if (out[i] == '/')
			out[i] = '_';
	}
	return text_len;
}

static void
sign(EVP_PKEY *key, const char *text, size_t len, unsigned char raw[2 * NUMBER_LEN])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char der[128];
	const unsigned char *at = der;
	size_t der_len = sizeof(der);
	ECDSA_SIG *signature;

	check(context != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
		  EVP_DigestSign(context, der, &der_len, (const unsigned char *)text, len) == 1,
	    "sign");
	signature = d2i_ECDSA_SIG(NULL, &at, (long)der_len);
	check(signature != NULL &&
		  BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, NUMBER_LEN) == NUMBER_LEN &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + NUMBER_LEN, NUMBER_LEN) ==
		      NUMBER_LEN,
	    "read the signature");
	ECDSA_SIG_free(signature);
	EVP_MD_CTX_free(context);
}

static void
print_token(EVP_PKEY *key, long number, long long ends_s)
{
	char claims[256], token[1024];
	unsigned char raw[2 * NUMBER_LEN];
	size_t len;

	snprintf(claims, sizeof(claims),
	    "{\"sub\":\"user-%ld\",\"exp\":%lld,\"caps\":[{\"channels\":[\"news\",\"user.%ld\"],"
	    "\"allow\":[\"sub\",\"hst\"]}]}",
	    number, ends_s, number);
	len = put_base64url(token, HEADER, strlen(HEADER));
	token[len++] = '.';
	len += put_base64url(token + len, claims, strlen(claims));
	sign(key, token, len, raw);
	token[len++] = '.';
	len += put_base64url(token + len, raw, sizeof(raw));
	printf("%.*s\n", (int)len, token);
}

static void
write_key(EVP_PKEY *key, const char *path)
{
	FILE *file = fopen(path, "w");

	check(
	    file != NULL && PEM_write_PUBKEY(file, key) == 1 && fclose(file) == 0, "write the key");
}

int
main(int argc, char **argv)
{
	long count = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
	EVP_PKEY *key;

	if (count <= 0) {
		fprintf(stderr, "usage: tokens COUNT FILE\n");
		return 2;
	}
	key = EVP_EC_gen("P-256");
	check(key != NULL, "make a key");
	write_key(key, argv[2]);
	for (long n = 0; n < count; n++)
		print_token(key, n, (long long)time(NULL) + VALID_S);
	EVP_PKEY_free(key);
	return 0;
}
