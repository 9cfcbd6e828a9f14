#include "config.h"

#include "token/cache.h"

#include <assert.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/queue.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/hash_map.h"
#include "base/time_queue.h"
#include "token/grant.h"
#include "token/jwt.h"
#include "token/keys.h"
#include "token/proof.h"

enum {
	REFUSED_MAX = 1024,
	STALE_PER_CHECK = 4,   /* void or ended results that a check frees */
	STALE_PER_TURN = 1000, /* and that a turn frees */
	NO_PLACE = UINT32_MAX,
};

/* About what the map and the time queue need for a result. */
#define RESULT_BYTES (sizeof(struct result) + 128)

struct result {
	TAILQ_ENTRY(result) by_use;
	unsigned char digest[SHA256_DIGEST_LENGTH];
	uint32_t generation; /* of the keys and rules that it holds for */
	uint32_t place;      /* in the time queue, or NO_PLACE */
	enum token_fault fault;
	struct token_grant *grant; /* a reference; NULL if fault is not TOKEN_OK */
	uint64_t since_s;          /* with TOKEN_EXPIRED: when that became so */
};

TAILQ_HEAD(results, result);

struct tokens {
	struct token_keys *keys; /* owned; NULL: none */
	struct token_rules rules;
	struct buffer rule_text; /* of the strings of rules */
	uint32_t generation;
	size_t max_bytes;
	struct hash_map *by_digest;
	struct results valid, refused; /* most recently used first; void ones are at the end */
	size_t refused_count, valid_bytes;
	struct time_queue ends; /* of valid results, in s */
	struct token_figures figures;
};

static void
result_moved(void *thing, uint32_t place)
{
	((struct result *)thing)->place = place;
}

static const struct time_queue_ops ends_ops = {
    .moved = result_moved,
    .realloc = xrealloc,
    .free = xfree,
};

struct tokens *
tokens_new(size_t max_bytes)
{
	struct tokens *tokens = xcalloc(1, sizeof(*tokens));

	tokens->max_bytes = max_bytes;
	tokens->by_digest = hash_map_new();
	TAILQ_INIT(&tokens->valid);
	TAILQ_INIT(&tokens->refused);
	time_queue_init(&tokens->ends, &ends_ops);
	return tokens;
}

static struct slice
digest_of(const struct result *result)
{
	return (struct slice){(const char *)result->digest, sizeof(result->digest)};
}

static size_t
bytes_of(const struct result *result)
{
	return RESULT_BYTES + (result->grant != NULL ? result->grant->bytes : 0);
}

static void
forget(struct tokens *tokens, struct result *result)
{
	struct results *list = result->grant != NULL ? &tokens->valid : &tokens->refused;

	(void)hash_map_remove(tokens->by_digest, digest_of(result));
	TAILQ_REMOVE(list, result, by_use);
	if (result->place != NO_PLACE)
		time_queue_remove(&tokens->ends, result->place);
	if (result->grant == NULL)
		tokens->refused_count--;
	else
		tokens->valid_bytes -= bytes_of(result);
	tokens->figures.cached--;
	tokens->figures.cached_bytes -= bytes_of(result);
	token_grant_unref(result->grant);
	xfree(result);
}

static void
forget_all(struct tokens *tokens, struct results *list)
{
	struct result *result;

	while ((result = TAILQ_FIRST(list)) != NULL)
		forget(tokens, result);
}

void
tokens_free(struct tokens *tokens)
{
	forget_all(tokens, &tokens->valid);
	forget_all(tokens, &tokens->refused);
	time_queue_release(&tokens->ends);
	hash_map_free(tokens->by_digest);
	buffer_release(&tokens->rule_text);
	token_keys_unref(tokens->keys);
	xfree(tokens);
}

/* The results for the old keys are void from now on; they are freed step by step. */
void
tokens_configure(struct tokens *tokens, struct token_keys *keys, const struct token_rules *rules)
{
	struct buffer text = {0};

	(void)buffer_reserve(&text, 1); /* its address is not NULL, even if both are empty */
	buffer_append_slice(&text, rules->audience);
	buffer_append_slice(&text, rules->issuer);
	buffer_release(&tokens->rule_text);
	tokens->rule_text = text;
	tokens->rules = (struct token_rules){
	    .audience = {text.ptr, rules->audience.len},
	    .issuer = {text.ptr + rules->audience.len, rules->issuer.len},
	    .leeway_s = rules->leeway_s,
	};
	token_keys_unref(tokens->keys);
	tokens->keys = keys;
	tokens->generation++;
}

/* A void result is not used any more, so it is behind all others of its list. */
static void
free_void(struct tokens *tokens, struct results *list, unsigned count)
{
	struct result *last;

	while (count-- > 0 && (last = TAILQ_LAST(list, results)) != NULL &&
	       last->generation != tokens->generation)
		forget(tokens, last);
}

static void
free_stale(struct tokens *tokens, uint64_t wall_s, unsigned count)
{
	struct time_queue_entry *first;

	free_void(tokens, &tokens->valid, count);
	free_void(tokens, &tokens->refused, count);
	while (count-- > 0 && (first = time_queue_first(&tokens->ends)) != NULL &&
	       first->at <= (int64_t)wall_s)
		forget(tokens, first->thing);
}

bool
token_is_known(const struct tokens *tokens, struct slice token)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	const struct result *result;

	if (tokens->keys == NULL || token.len > TOKEN_BYTES_MAX)
		return true; /* it is refused at once */
	SHA256((const unsigned char *)token.ptr, token.len, digest);
	result =
	    hash_map_get(tokens->by_digest, (struct slice){(const char *)digest, sizeof(digest)});
	return result != NULL && result->generation == tokens->generation;
}

void
tokens_turn(struct tokens *tokens, uint64_t wall_s)
{
	free_stale(tokens, wall_s, STALE_PER_TURN);
}

const struct token_figures *
tokens_figures(const struct tokens *tokens)
{
	return &tokens->figures;
}

/* When the result of a valid token is of no more use; 0: never. */
static uint64_t
end_of(const struct token_grant *grant)
{
	uint64_t end_s = grant->has_expiry ? grant->expires_s + grant->leeway_s : 0;

	if (grant->has_end && (end_s == 0 || grant->ends_s < end_s))
		end_s = grant->ends_s;
	return end_s;
}

/* May free the newest result as well. */
static void
make_room(struct tokens *tokens)
{
	while (tokens->refused_count > REFUSED_MAX)
		forget(tokens, TAILQ_LAST(&tokens->refused, results));
	while (tokens->valid_bytes > tokens->max_bytes)
		forget(tokens, TAILQ_LAST(&tokens->valid, results));
}

/* Borrows grant, which is NULL if the token was refused. */
static void
remember(struct tokens *tokens, const unsigned char digest[SHA256_DIGEST_LENGTH],
    enum token_fault fault, struct token_grant *grant, uint64_t since_s)
{
	struct result *result = xcalloc(1, sizeof(*result));
	uint64_t end_s = grant != NULL ? end_of(grant) : 0;

	memcpy(result->digest, digest, sizeof(result->digest));
	result->generation = tokens->generation;
	result->place = NO_PLACE;
	result->fault = fault;
	result->since_s = since_s;
	if (grant != NULL) {
		result->grant = token_grant_ref(grant);
		TAILQ_INSERT_HEAD(&tokens->valid, result, by_use);
		tokens->valid_bytes += bytes_of(result);
	} else {
		TAILQ_INSERT_HEAD(&tokens->refused, result, by_use);
		tokens->refused_count++;
	}
	if (end_s > 0)
		time_queue_add(&tokens->ends, result, (int64_t)end_s);
	(void)hash_map_set(tokens->by_digest, digest_of(result), result);
	tokens->figures.cached++;
	tokens->figures.cached_bytes += bytes_of(result);
	make_room(tokens);
}

/* The result of an earlier check, or NULL. */
static struct result *
recall(struct tokens *tokens, const unsigned char digest[SHA256_DIGEST_LENGTH], uint64_t wall_s)
{
	struct slice key = {(const char *)digest, SHA256_DIGEST_LENGTH};
	struct result *result = hash_map_get(tokens->by_digest, key);
	struct results *list;

	if (result == NULL)
		return NULL;
	/* The second condition: the clock was set back. */
	if (result->generation != tokens->generation ||
	    (result->fault == TOKEN_EXPIRED && wall_s < result->since_s)) {
		forget(tokens, result);
		return NULL;
	}
	list = result->grant != NULL ? &tokens->valid : &tokens->refused;
	TAILQ_REMOVE(list, result, by_use);
	TAILQ_INSERT_HEAD(list, result, by_use);
	return result;
}

struct token_proof *
tokens_begin_proof(const struct tokens *tokens, struct slice token)
{
	assert(tokens->keys != NULL && token.len <= TOKEN_BYTES_MAX);
	return token_needs_public_key(tokens->keys, token) ? token_proof_new(tokens->keys, token)
							   : NULL;
}

bool
tokens_accept_proof(
    const struct tokens *tokens, const struct token_proof *proof, struct slice token)
{
	return token_proof_is_of(proof, tokens->keys, token);
}

bool
tokens_refused_proof(const struct tokens *tokens, const struct token_proof *proof)
{
	return token_proof_is_refusal(proof, tokens->keys);
}

static enum token_fault
verify(struct tokens *tokens, struct slice token, const struct token_proof *proof,
    struct token_grant **grant)
{
	struct buffer own = {0};
	struct slice claims;
	enum token_fault fault;

	if (proof != NULL && tokens_accept_proof(tokens, proof, token)) {
		tokens->figures.proved++;
		fault = token_proof_result(proof, &claims);
	} else {
		fault = token_verify(tokens->keys, token, &own);
		claims = buffer_slice(&own);
	}
	if (fault == TOKEN_OK)
		fault = token_claims_read(claims, &tokens->rules, grant);
	buffer_release(&own);
	return fault;
}

/* The result of a token that is not too long. *grant is a reference or NULL. */
static enum token_fault
check(struct tokens *tokens, struct slice token, const struct token_proof *proof, uint64_t wall_s,
    struct token_grant **grant)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct result *result;
	enum token_fault fault;

	SHA256((const unsigned char *)token.ptr, token.len, digest);
	result = recall(tokens, digest, wall_s);
	if (result != NULL) {
		tokens->figures.hits++;
		if (result->grant == NULL)
			return result->fault;
		*grant = token_grant_ref(result->grant);
		fault = token_grant_at(*grant, wall_s);
		if (fault != TOKEN_EXPIRED)
			return fault;
		forget(tokens, result);
	} else {
		tokens->figures.misses++;
		fault = verify(tokens, token, proof, grant);
		if (fault == TOKEN_OK)
			fault = token_grant_at(*grant, wall_s);
	}
	/* A token that is not valid yet is kept as a valid one: its times are compared again. */
	if (fault == TOKEN_OK || fault == TOKEN_NOT_YET)
		remember(tokens, digest, TOKEN_OK, *grant, 0);
	else
		remember(tokens, digest, fault, NULL, *grant != NULL ? end_of(*grant) : 0);
	return fault;
}

enum token_fault
token_check_proved(struct tokens *tokens, struct slice token, enum token_use use,
    const struct token_proof *proof, uint64_t wall_s, struct token_grant **out)
{
	struct token_grant *grant = NULL;
	enum token_fault fault;

	if (tokens->keys == NULL || token_keys_count(tokens->keys) == 0)
		fault = TOKEN_NO_KEYS;
	else if (token.len > TOKEN_BYTES_MAX)
		fault = TOKEN_TOO_LARGE;
	else
		fault = check(tokens, token, proof, wall_s, &grant);
	if (fault == TOKEN_OK && use == TOKEN_FOR_CONNECTION && grant != NULL &&
	    grant->channel.ptr != NULL)
		fault = TOKEN_OF_SUBSCRIPTION;
	free_stale(tokens, wall_s, STALE_PER_CHECK);
	tokens->figures.faults[fault]++;
	*out = NULL;
	if (fault == TOKEN_OK)
		*out = grant;
	else
		token_grant_unref(grant);
	return fault;
}

enum token_fault
token_check(struct tokens *tokens, struct slice token, enum token_use use, uint64_t wall_s,
    struct token_grant **out)
{
	return token_check_proved(tokens, token, use, NULL, wall_s, out);
}
