#ifndef TOKEN_CACHE_H
#define TOKEN_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "token/claims.h"
#include "token/fault.h"

/*
 * Tokens: checks a token, and remembers the result, because a signature costs 20 to 110 us and
 * browsers come back with the same token. Results are found by the token's SHA-256. The times of
 * the token are compared at each check. A new key set or new rules make all results void.
 *
 * It is bounded: by bytes for tokens that were valid, whose results end with exp, and by number for
 * those that were refused, so that wrong tokens cannot displace valid ones. It reads no clock.
 */
struct token_keys;
struct token_proof;
struct tokens;

#define TOKEN_BYTES_MAX 16384 /* a longer token is refused before it is looked at */

struct token_figures {
	uint64_t hits;                 /* checks that needed no signature */
	uint64_t misses;               /* checks that verified one, or failed before that */
	uint64_t proved;               /* of these: with a proof */
	uint64_t faults[TOKEN_FAULTS]; /* checks by result; [TOKEN_OK] are the valid tokens */
	size_t cached;                 /* results that are kept */
	size_t cached_bytes;
};

/* Without keys: every check says TOKEN_NO_KEYS. max_bytes: for results of valid tokens. Returns
 * owned (tokens_free). */
struct tokens *tokens_new(size_t max_bytes);
void tokens_free(struct tokens *tokens);

#define TOKENS_CACHE_BYTES ((size_t)16 << 20) /* about 25 000 tokens of usual size */

/* Takes keys, which may be NULL. Copies rules. */
void tokens_configure(
    struct tokens *tokens, struct token_keys *keys, const struct token_rules *rules);

enum token_use {
	TOKEN_FOR_CONNECTION,   /* a token with the claim channel is TOKEN_OF_SUBSCRIPTION */
	TOKEN_FOR_SUBSCRIPTION, /* any; the caller compares the claim channel */
};

/*
 * The one call. wall_s: seconds since 1970. TOKEN_OK: *out is a reference that the caller owns
 * (token_grant_unref). Otherwise *out is NULL.
 */
enum token_fault token_check(struct tokens *tokens, struct slice token, enum token_use use,
    uint64_t wall_s, struct token_grant **out) __attribute__((warn_unused_result));

/* The same. The proof (token/proof.h; may be NULL) replaces verifying the signature, if
 * tokens_accept_proof() says so. */
enum token_fault token_check_proved(struct tokens *tokens, struct slice token, enum token_use use,
    const struct token_proof *proof, uint64_t wall_s, struct token_grant **out)
    __attribute__((warn_unused_result));

/* True if token_check() needs no signature for it. */
bool token_is_known(const struct tokens *tokens, struct slice token);

/* For a token that is not known: a proof that is still to be made, with the present keys. Returns
 * owned (token_proof_free); NULL unless its header names a public key: everything else takes less
 * time than passing it to another thread. */
struct token_proof *tokens_begin_proof(const struct tokens *tokens, struct slice token);

/* True if the proof was made, of this token and with the present keys. */
bool tokens_accept_proof(
    const struct tokens *tokens, const struct token_proof *proof, struct slice token);

/* True if the proof was made with the present keys, and the signature is wrong. */
bool tokens_refused_proof(const struct tokens *tokens, const struct token_proof *proof);

/* To be called about once a second: frees some results that have ended. */
void tokens_turn(struct tokens *tokens, uint64_t wall_s);

const struct token_figures *tokens_figures(const struct tokens *tokens);

#endif
