#ifndef TOKEN_JWKS_H
#define TOKEN_JWKS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "json/reader.h"

/* Reads the keys of a JSON Web Key Set (RFC 7517, 7518, 8037), one at a time. */
struct token_key;

struct token_jwks {
	struct json_iterator keys;
	size_t number; /* of the key that was read last, from 1 */
};

enum token_jwk {
	TOKEN_JWK_END,     /* there are no more keys */
	TOKEN_JWK_READ,    /* *key and *id are set */
	TOKEN_JWK_SKIPPED, /* a key for another purpose, or of another kind */
	TOKEN_JWK_REFUSED, /* *why is set */
};

/* Borrows text. False: it is not a key set. */
bool token_jwks_open(struct token_jwks *set, struct slice text) __attribute__((warn_unused_result));

/*
 * The next key. The caller owns *key (token_key_free). *id is its key id, {NULL, 0} if it has none;
 * it stays in id_room, which it replaces.
 */
enum token_jwk token_jwks_next(struct token_jwks *set, struct token_key **key,
    struct buffer *id_room, struct slice *id, const char **why) __attribute__((warn_unused_result));

#endif
