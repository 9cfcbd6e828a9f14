#ifndef TOKEN_JWT_H
#define TOKEN_JWT_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "token/fault.h"

/*
 * Verifies the signature of a JSON Web Token: a JWS in compact form (RFC 7515, 7519; the advice of
 * RFC 8725). It knows no claims and no time.
 */
struct token_keys;

/*
 * TOKEN_OK: the claims (any bytes that were signed) are appended to *claims, at most token.len
 * bytes. Otherwise nothing is appended.
 */
enum token_fault token_verify(const struct token_keys *keys, struct slice token,
    struct buffer *claims) __attribute__((warn_unused_result));

/* True if verifying the token takes the time of a signature with a public key: its header names one
 * of keys. False if it would be refused before, or is signed with a secret. */
bool token_needs_public_key(const struct token_keys *keys, struct slice token);

#endif
