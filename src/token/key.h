#ifndef TOKEN_KEY_H
#define TOKEN_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "token/algorithm.h"

/*
 * Key: verifies signatures. Its algorithms follow from the kind of the key: a secret has HMACs only
 * and a public key has none of them, whatever a token asks for.
 *
 * Functions that make a key return NULL if it is weak or invalid; then *why is a text like "RSA key
 * with less than 2048 bits". Otherwise they return owned (token_key_free).
 */
struct evp_pkey_st; /* EVP_PKEY */
struct token_key;

enum {
	TOKEN_SECRET_BYTES_MIN = 32, /* RFC 7518, 3.2: a key has at least the hash's length */
	TOKEN_SECRET_BYTES_MAX = 4096,
	TOKEN_RSA_BITS_MIN = 2048,
	TOKEN_RSA_BITS_MAX = 8192,
};

struct token_key *token_key_from_secret(struct slice secret, const char **why)
    __attribute__((warn_unused_result));
/* Takes pkey. */
struct token_key *token_key_from_pkey(struct evp_pkey_st *pkey, const char **why)
    __attribute__((warn_unused_result));
/* Big-endian numbers. */
struct token_key *token_key_from_rsa(struct slice modulus, struct slice exponent, const char **why)
    __attribute__((warn_unused_result));
/* A point of P-256. */
struct token_key *token_key_from_point(struct slice x, struct slice y, const char **why)
    __attribute__((warn_unused_result));
struct token_key *token_key_from_ed25519(struct slice point, const char **why)
    __attribute__((warn_unused_result));
void token_key_free(struct token_key *key); /* NULL is allowed; secrets are overwritten */

/* TOKEN_ALGORITHM_BIT()s, at least one. */
uint32_t token_key_algorithms(const struct token_key *key);

/* Keeps only these of its algorithms. False: none would be left. */
bool token_key_restrict(struct token_key *key, uint32_t algorithms)
    __attribute__((warn_unused_result));

/* True if signature is this key's for text. The key has the algorithm. Thread-safe. */
bool token_key_verifies(const struct token_key *key, enum token_algorithm algorithm,
    struct slice text, struct slice signature) __attribute__((warn_unused_result));

#endif
