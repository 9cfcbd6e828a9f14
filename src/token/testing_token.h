#ifndef TOKEN_TESTING_TOKEN_H
#define TOKEN_TESTING_TOKEN_H

#include <openssl/evp.h>

#include "base/bytes.h"

/* Makes tokens and keys for tests. Strings are returned owned (xfree). */

/* A secret that is long enough for each HMAC. */
#define TESTING_SECRET "a secret of sixty-four bytes, so that it is enough for HS512 too"

char *testing_base64url(const void *bytes, size_t len) __attribute__((returns_nonnull));

/* header.claims.signature of these texts with HMAC-SHA256. */
char *testing_token(const char *header, const char *claims);
char *testing_token_hmac(
    const char *header, const char *claims, struct slice secret, const EVP_MD *hash);

/* The same with a key pair: RS256, ES256 or EdDSA, by its type. */
char *testing_token_signed(EVP_PKEY *pair, const char *header, const char *claims);

EVP_PKEY *testing_pair(const char *type); /* "RSA" (2048 bits), "P-256", "ED25519"; EVP_PKEY_free */
char *testing_public_pem(EVP_PKEY *pair);

#endif
