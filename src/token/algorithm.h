#ifndef TOKEN_ALGORITHM_H
#define TOKEN_ALGORITHM_H

#include <stdbool.h>

#include "base/bytes.h"

/* The signature algorithms of RFC 7518 and RFC 8037 that are supported. "none" is not one. */
enum token_algorithm {
	TOKEN_HS256, /* with a secret, as the next two */
	TOKEN_HS384,
	TOKEN_HS512,
	TOKEN_RS256, /* from here on: with a public key */
	TOKEN_ES256,
	TOKEN_EDDSA, /* with Ed25519; also by the name Ed25519 of RFC 9864 */
};

#define TOKEN_ALGORITHM_BIT(algorithm) (1u << (algorithm))

/* Exact, with case. */
bool token_algorithm_find(struct slice name, enum token_algorithm *algorithm)
    __attribute__((warn_unused_result));

#endif
