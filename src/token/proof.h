#ifndef TOKEN_PROOF_H
#define TOKEN_PROOF_H

#include <stdbool.h>

#include "base/bytes.h"
#include "token/fault.h"

/*
 * Proof: the verified signature of one token. It can be made in another thread, because it has all
 * that it needs: a copy of the token, and a reference to an immutable key set. It is worth
 * something only while that is the key set in use. It knows no claims and no time.
 */
struct token_keys;
struct token_proof;

/* Copies token, which has at most TOKEN_BYTES_MAX bytes; takes a reference to keys. Returns owned
 * (token_proof_free). As with keys, both functions are for the main loop. */
struct token_proof *token_proof_new(struct token_keys *keys, struct slice token);
void token_proof_free(struct token_proof *proof); /* NULL is allowed */

/* Verifies the signature: to be called once, in any thread. */
void token_proof_make(struct token_proof *proof);

/* True if it was made, of this token and with these keys. */
bool token_proof_is_of(
    const struct token_proof *proof, const struct token_keys *keys, struct slice token);

/* True if it was made with these keys, and the signature is wrong. */
bool token_proof_is_refusal(const struct token_proof *proof, const struct token_keys *keys);

/* The result of token_verify(): TOKEN_OK with the claims, borrowed; or a fault. */
enum token_fault token_proof_result(const struct token_proof *proof, struct slice *claims);

#endif
