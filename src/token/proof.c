#include "config.h"

#include "token/proof.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "token/jwt.h"
#include "token/keys.h"

struct token_proof {
	struct token_keys *keys; /* a reference */
	struct buffer token;
	struct buffer claims;
	enum token_fault fault;
	bool is_made;
};

struct token_proof *
token_proof_new(struct token_keys *keys, struct slice token)
{
	struct token_proof *proof = xcalloc(1, sizeof(*proof));

	proof->keys = token_keys_ref(keys);
	buffer_append_slice(&proof->token, token);
	return proof;
}

void
token_proof_free(struct token_proof *proof)
{
	if (proof == NULL)
		return;
	token_keys_unref(proof->keys);
	buffer_release(&proof->token);
	buffer_release(&proof->claims);
	xfree(proof);
}

void
token_proof_make(struct token_proof *proof)
{
	assert(!proof->is_made);
	proof->fault = token_verify(proof->keys, buffer_slice(&proof->token), &proof->claims);
	proof->is_made = true;
}

bool
token_proof_is_of(
    const struct token_proof *proof, const struct token_keys *keys, struct slice token)
{
	return proof->is_made && proof->keys == keys &&
	       slice_eq(buffer_slice(&proof->token), token);
}

bool
token_proof_is_refusal(const struct token_proof *proof, const struct token_keys *keys)
{
	return proof->is_made && proof->keys == keys && proof->fault == TOKEN_BAD_SIGNATURE;
}

enum token_fault
token_proof_result(const struct token_proof *proof, struct slice *claims)
{
	assert(proof->is_made);
	*claims = buffer_slice(&proof->claims);
	return proof->fault;
}
