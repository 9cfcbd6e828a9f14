#include "config.h"

#include "token/cache.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "token/grant.h"
#include "token/keys.h"
#include "token/proof.h"
#include "token/testing_token.h"

#define HEADER "{\"alg\":\"HS256\"}"

static struct tokens *tokens;

static void
configure(struct tokens *of, struct slice secret, struct token_rules rules)
{
	struct token_key_sources sources = {.hmac_secret = secret};
	struct buffer error = {0};
	struct token_keys *keys = token_keys_new(&sources, &error);

	ck_assert_ptr_nonnull(keys);
	tokens_configure(of, keys, &rules);
}

static void
setup(void)
{
	tokens = tokens_new(TOKENS_CACHE_BYTES);
	configure(tokens, SLICE(TESTING_SECRET), (struct token_rules){.leeway_s = 5});
}

static void
teardown(void)
{
	tokens_free(tokens);
}

static enum token_fault
fault_for(enum token_use use, struct slice token, uint64_t wall_s)
{
	struct token_grant *grant;
	enum token_fault fault = token_check(tokens, token, use, wall_s, &grant);

	ck_assert((grant != NULL) == (fault == TOKEN_OK));
	token_grant_unref(grant);
	return fault;
}

static enum token_fault
fault_of(struct slice token, uint64_t wall_s)
{
	return fault_for(TOKEN_FOR_CONNECTION, token, wall_s);
}

/* Checks a token with these claims, which was signed with the first secret. */
static enum token_fault
fault_at(const char *claims, uint64_t wall_s)
{
	char *token = testing_token(HEADER, claims);
	enum token_fault fault = fault_of(slice_of(token), wall_s);

	xfree(token);
	return fault;
}

static uint64_t
hits(void)
{
	return tokens_figures(tokens)->hits;
}

static size_t
cached(void)
{
	return tokens_figures(tokens)->cached;
}

START_TEST(a_token_is_verified_once)
{
	ck_assert_int_eq(fault_at("{\"sub\":\"a\"}", 100), TOKEN_OK);
	ck_assert_uint_eq(hits(), 0);
	ck_assert_int_eq(fault_at("{\"sub\":\"a\"}", 100), TOKEN_OK);
	ck_assert_int_eq(fault_at("{\"sub\":\"b\"}", 100), TOKEN_OK);
	ck_assert_uint_eq(hits(), 1);
	ck_assert_uint_eq(tokens_figures(tokens)->misses, 2);
	ck_assert_uint_eq(tokens_figures(tokens)->faults[TOKEN_OK], 3);
	ck_assert_uint_eq(cached(), 2);
}
END_TEST

START_TEST(the_same_token_has_the_same_grant)
{
	char *token = testing_token(HEADER, "{\"sub\":\"a\"}");
	struct token_grant *first, *second;

	ck_assert_int_eq(
	    token_check(tokens, slice_of(token), TOKEN_FOR_CONNECTION, 100, &first), TOKEN_OK);
	ck_assert_int_eq(
	    token_check(tokens, slice_of(token), TOKEN_FOR_SUBSCRIPTION, 100, &second), TOKEN_OK);
	ck_assert_ptr_eq(first, second);
	ck_assert(slice_is(first->subject, "a"));
	token_grant_unref(first);
	token_grant_unref(second);
	xfree(token);
}
END_TEST

START_TEST(a_token_of_a_subscription_opens_no_connection)
{
	char *token = testing_token(HEADER, "{\"sub\":\"a\",\"channel\":\"news\",\"exp\":1000}");
	struct slice text = slice_of(token);

	/* Also if its result is known from the other use. */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(fault_for(TOKEN_FOR_CONNECTION, text, 100), TOKEN_OF_SUBSCRIPTION);
		ck_assert_int_eq(fault_for(TOKEN_FOR_SUBSCRIPTION, text, 100), TOKEN_OK);
	}
	ck_assert_int_eq(fault_for(TOKEN_FOR_CONNECTION, text, 2000), TOKEN_EXPIRED);
	ck_assert_uint_eq(tokens_figures(tokens)->faults[TOKEN_OF_SUBSCRIPTION], 2);
	ck_assert_uint_eq(tokens_figures(tokens)->faults[TOKEN_OK], 2);
	xfree(token);
	ck_assert_int_eq(fault_at("{\"channel\":\"\"}", 100), TOKEN_OF_SUBSCRIPTION);
}
END_TEST

START_TEST(a_refusal_is_remembered_too)
{
	char *token = testing_token_hmac(
	    HEADER, "{}", SLICE("another secret of thirty-two byte"), EVP_sha256());

	ck_assert_int_eq(fault_of(slice_of(token), 100), TOKEN_BAD_SIGNATURE);
	ck_assert_int_eq(fault_of(slice_of(token), 100), TOKEN_BAD_SIGNATURE);
	ck_assert_uint_eq(hits(), 1);
	ck_assert_uint_eq(tokens_figures(tokens)->faults[TOKEN_BAD_SIGNATURE], 2);
	xfree(token);
}
END_TEST

START_TEST(a_cached_token_expires)
{
	ck_assert_int_eq(fault_at("{\"exp\":1000}", 999), TOKEN_OK);
	ck_assert_int_eq(fault_at("{\"exp\":1000}", 1004), TOKEN_OK);
	ck_assert_int_eq(fault_at("{\"exp\":1000}", 1005), TOKEN_EXPIRED);
	ck_assert_int_eq(fault_at("{\"exp\":1000}", 5000), TOKEN_EXPIRED);
	ck_assert_uint_eq(tokens_figures(tokens)->misses, 1);
	ck_assert_uint_eq(cached(), 1);
}
END_TEST

START_TEST(an_expired_token_is_valid_again_if_the_clock_is_set_back)
{
	ck_assert_int_eq(fault_at("{\"exp\":1000}", 2000), TOKEN_EXPIRED);
	ck_assert_int_eq(fault_at("{\"exp\":1000}", 900), TOKEN_OK);
}
END_TEST

START_TEST(a_token_of_the_future_becomes_valid)
{
	ck_assert_int_eq(fault_at("{\"nbf\":1000}", 900), TOKEN_NOT_YET);
	ck_assert_int_eq(fault_at("{\"nbf\":1000}", 994), TOKEN_NOT_YET);
	ck_assert_int_eq(fault_at("{\"nbf\":1000}", 995), TOKEN_OK);
	ck_assert_uint_eq(tokens_figures(tokens)->misses, 1);
}
END_TEST

START_TEST(expired_results_are_freed_by_turns)
{
	ck_assert_int_eq(fault_at("{\"exp\":1000}", 900), TOKEN_OK);
	ck_assert_int_eq(fault_at("{\"exp\":2000}", 900), TOKEN_OK);
	ck_assert_int_eq(fault_at("{\"sub\":\"no end\"}", 900), TOKEN_OK);
	tokens_turn(tokens, 1004);
	ck_assert_uint_eq(cached(), 3);
	tokens_turn(tokens, 1005);
	ck_assert_uint_eq(cached(), 2);
	tokens_turn(tokens, UINT32_MAX);
	ck_assert_uint_eq(cached(), 1);
}
END_TEST

START_TEST(new_keys_make_all_results_void)
{
	struct slice fresh = SLICE("a fresh secret of more than 32 bytes");
	char *token = testing_token_hmac(HEADER, "{}", fresh, EVP_sha256());

	ck_assert_int_eq(fault_at("{}", 100), TOKEN_OK);
	ck_assert_int_eq(fault_of(slice_of(token), 100), TOKEN_BAD_SIGNATURE);
	configure(tokens, fresh, (struct token_rules){.leeway_s = 5});
	ck_assert_int_eq(fault_at("{}", 100), TOKEN_BAD_SIGNATURE);
	ck_assert_int_eq(fault_of(slice_of(token), 100), TOKEN_OK);
	ck_assert_uint_eq(hits(), 0);
	tokens_turn(tokens, 100);
	ck_assert_uint_eq(cached(), 2);
	xfree(token);
}
END_TEST

START_TEST(void_results_are_freed_by_turns)
{
	for (int i = 0; i < 3000; i++) {
		char *claims = xasprintf("{\"sub\":\"%d\"}", i);

		ck_assert_int_eq(fault_at(claims, 100), TOKEN_OK);
		xfree(claims);
	}
	ck_assert_uint_eq(cached(), 3000);
	configure(tokens, SLICE(TESTING_SECRET), (struct token_rules){.leeway_s = 5});
	ck_assert_uint_eq(cached(), 3000);
	tokens_turn(tokens, 100);
	ck_assert_uint_eq(cached(), 2000);
	tokens_turn(tokens, 100);
	tokens_turn(tokens, 100);
	ck_assert_uint_eq(cached(), 0);
	ck_assert_uint_eq(tokens_figures(tokens)->cached_bytes, 0);
}
END_TEST

START_TEST(new_rules_make_all_results_void)
{
	ck_assert_int_eq(fault_at("{\"aud\":\"chat\"}", 100), TOKEN_OK);
	configure(tokens, SLICE(TESTING_SECRET), (struct token_rules){.audience = SLICE("shop")});
	ck_assert_int_eq(fault_at("{\"aud\":\"chat\"}", 100), TOKEN_AUDIENCE);
	configure(tokens, SLICE(TESTING_SECRET),
	    (struct token_rules){.audience = SLICE("chat"), .issuer = SLICE("me")});
	ck_assert_int_eq(fault_at("{\"aud\":\"chat\"}", 100), TOKEN_ISSUER);
	ck_assert_int_eq(fault_at("{\"aud\":\"chat\",\"iss\":\"me\"}", 100), TOKEN_OK);
}
END_TEST

START_TEST(without_keys_no_token_is_valid)
{
	struct token_rules rules = {.leeway_s = 5};

	tokens_configure(tokens, NULL, &rules);
	ck_assert_int_eq(fault_at("{}", 100), TOKEN_NO_KEYS);
	teardown();
	tokens = tokens_new(TOKENS_CACHE_BYTES);
	ck_assert_int_eq(fault_at("{}", 100), TOKEN_NO_KEYS);
}
END_TEST

START_TEST(a_token_has_at_most_16_kib)
{
	char *text = xmalloc(TOKEN_BYTES_MAX + 1);
	char *info = xmalloc(12200), *claims;

	memset(text, 'a', TOKEN_BYTES_MAX + 1);
	ck_assert_int_eq(fault_of((struct slice){text, TOKEN_BYTES_MAX + 1}, 100), TOKEN_TOO_LARGE);
	ck_assert_int_eq(fault_of((struct slice){text, TOKEN_BYTES_MAX}, 100), TOKEN_MALFORMED);
	ck_assert_int_eq(fault_of((struct slice){text, 0}, 100), TOKEN_MALFORMED);
	ck_assert_int_eq(fault_of((struct slice){NULL, 0}, 100), TOKEN_MALFORMED);
	memset(info, 'i', 12199);
	info[12199] = '\0';
	claims = xasprintf("{\"info\":\"%s\"}", info);
	ck_assert_int_eq(fault_at(claims, 100), TOKEN_OK);
	xfree(claims);
	xfree(info);
	xfree(text);
}
END_TEST

START_TEST(wrong_tokens_do_not_displace_valid_ones)
{
	ck_assert_int_eq(fault_at("{\"sub\":\"a\"}", 100), TOKEN_OK);
	for (int i = 0; i < 5000; i++) {
		char *token = xasprintf("%d.b.c", i);

		ck_assert_int_eq(fault_of(slice_of(token), 100), TOKEN_MALFORMED);
		xfree(token);
	}
	ck_assert_uint_eq(cached(), 1 + 1024);
	ck_assert_int_eq(fault_at("{\"sub\":\"a\"}", 100), TOKEN_OK);
	ck_assert_uint_eq(hits(), 1);
}
END_TEST

START_TEST(the_results_used_longest_ago_make_room)
{
	teardown();
	tokens = tokens_new(10000);
	configure(tokens, SLICE(TESTING_SECRET), (struct token_rules){.leeway_s = 5});
	ck_assert_int_eq(fault_at("{\"sub\":\"kept\"}", 100), TOKEN_OK);
	for (int i = 0; i < 500; i++) {
		char *claims = xasprintf("{\"sub\":\"%d\",\"exp\":%d}", i, 1000 + i * 7 % 500);

		ck_assert_int_eq(fault_at(claims, 100), TOKEN_OK);
		ck_assert_int_eq(fault_at("{\"sub\":\"kept\"}", 100), TOKEN_OK);
		ck_assert_uint_le(tokens_figures(tokens)->cached_bytes, 10000);
		xfree(claims);
	}
	ck_assert_uint_eq(hits(), 500);
	ck_assert_uint_gt(cached(), 10);
}
END_TEST

START_TEST(a_grant_outlives_its_result)
{
	char *token = testing_token(HEADER, "{\"sub\":\"a\",\"exp\":1000}");
	struct token_grant *grant;

	ck_assert_int_eq(
	    token_check(tokens, slice_of(token), TOKEN_FOR_CONNECTION, 900, &grant), TOKEN_OK);
	tokens_turn(tokens, 2000);
	ck_assert_uint_eq(cached(), 0);
	ck_assert(slice_is(grant->subject, "a"));
	token_grant_unref(grant);
	xfree(token);
}
END_TEST

START_TEST(a_token_is_known_once_it_was_checked_with_these_keys)
{
	char *good = testing_token(HEADER, "{}");
	struct slice both[] = {slice_of(good), SLICE("a.b.c")};

	for (int i = 0; i < 2; i++) {
		ck_assert(!token_is_known(tokens, both[i]));
		ck_assert_int_eq(fault_of(both[i], 100), i == 0 ? TOKEN_OK : TOKEN_MALFORMED);
		ck_assert(token_is_known(tokens, both[i]));
	}
	configure(tokens, SLICE(TESTING_SECRET), (struct token_rules){.leeway_s = 5});
	ck_assert(!token_is_known(tokens, both[0]) && !token_is_known(tokens, both[1]));
	xfree(good);
}
END_TEST

static void
use_pair(EVP_PKEY *pair)
{
	char *pem = testing_public_pem(pair);
	struct token_key_sources sources = {
	    .public_keys = slice_of(pem), .public_key_path = "key.pem"};
	struct token_rules rules = {.leeway_s = 5};
	struct buffer error = {0};
	struct token_keys *keys = token_keys_new(&sources, &error);

	ck_assert_ptr_nonnull(keys);
	tokens_configure(tokens, keys, &rules);
	xfree(pem);
}

static enum token_fault
fault_with(struct slice token, const struct token_proof *proof)
{
	struct token_grant *grant;
	enum token_fault fault =
	    token_check_proved(tokens, token, TOKEN_FOR_SUBSCRIPTION, proof, 100, &grant);

	ck_assert((grant != NULL) == (fault == TOKEN_OK));
	token_grant_unref(grant);
	return fault;
}

static struct token_proof *
prove(struct slice token)
{
	struct token_proof *proof = tokens_begin_proof(tokens, token);

	ck_assert_ptr_nonnull(proof);
	token_proof_make(proof);
	return proof;
}

START_TEST(a_proof_replaces_verifying_the_signature)
{
	EVP_PKEY *pair = testing_pair("ED25519"), *wrong = testing_pair("ED25519");
	static const struct {
		const char *claims;
		enum token_fault fault;
	} cases[] = {{"{}", TOKEN_OK}, {"{\"exp\":50}", TOKEN_EXPIRED},
	    {"{\"nbf\":200}", TOKEN_NOT_YET}, {"{\"sub\":1}", TOKEN_BAD_CLAIM}};

	use_pair(pair);
	for (size_t i = 0; i < 5; i++) {
		char *token = testing_token_signed(
		    i < 4 ? pair : wrong, "{\"alg\":\"EdDSA\"}", i < 4 ? cases[i].claims : "{}");
		struct token_proof *proof = prove(slice_of(token));
		enum token_fault expected = i < 4 ? cases[i].fault : TOKEN_BAD_SIGNATURE;

		ck_assert(tokens_accept_proof(tokens, proof, slice_of(token)));
		ck_assert_int_eq(fault_with(slice_of(token), proof), expected);
		ck_assert_uint_eq(tokens_figures(tokens)->proved, i + 1);
		ck_assert_uint_eq(tokens_figures(tokens)->misses, i + 1);
		ck_assert_int_eq(fault_of(slice_of(token), 100), expected);
		ck_assert_uint_eq(hits(), i + 1);
		token_proof_free(proof);
		xfree(token);
	}
	EVP_PKEY_free(pair);
	EVP_PKEY_free(wrong);
}
END_TEST

START_TEST(a_proof_is_for_one_token_and_one_key_set)
{
	EVP_PKEY *pair = testing_pair("P-256"), *next = testing_pair("P-256");
	char *token = testing_token_signed(pair, "{\"alg\":\"ES256\"}", "{}");
	char *forged = testing_token_signed(next, "{\"alg\":\"ES256\"}", "{}");
	struct token_proof *proof, *unmade;

	use_pair(pair);
	proof = prove(slice_of(token));
	unmade = tokens_begin_proof(tokens, slice_of(token));
	ck_assert(!tokens_accept_proof(tokens, unmade, slice_of(token)));
	ck_assert_int_eq(fault_with(slice_of(forged), proof), TOKEN_BAD_SIGNATURE);
	use_pair(next);
	ck_assert(!tokens_accept_proof(tokens, proof, slice_of(token)));
	ck_assert_int_eq(fault_with(slice_of(token), proof), TOKEN_BAD_SIGNATURE);
	token_proof_make(unmade); /* with keys that are still there */
	ck_assert_int_eq(fault_with(slice_of(token), unmade), TOKEN_BAD_SIGNATURE);
	ck_assert_uint_eq(tokens_figures(tokens)->proved, 0);
	token_proof_free(proof);
	token_proof_free(unmade);
	xfree(token);
	xfree(forged);
	EVP_PKEY_free(pair);
	EVP_PKEY_free(next);
}
END_TEST

START_TEST(there_is_no_proof_of_what_needs_no_public_key)
{
	static const char *const headers[] = {"{\"alg\":\"HS256\"}", "{\"alg\":\"none\"}",
	    "{\"alg\":\"RS256\"}", "{\"alg\":\"ES256\",\"crit\":[]}", "{}", ""};
	EVP_PKEY *pair = testing_pair("P-256");
	char *token = testing_token("{\"alg\":\"HS256\"}", "{}");

	ck_assert_ptr_null(tokens_begin_proof(tokens, slice_of(token)));
	xfree(token);
	use_pair(pair);
	ck_assert_ptr_null(tokens_begin_proof(tokens, SLICE("a.b.c")));
	ck_assert_ptr_null(tokens_begin_proof(tokens, SLICE("x")));
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		token = testing_token_signed(pair, headers[i], "{}");
		ck_assert_ptr_null(tokens_begin_proof(tokens, slice_of(token)));
		xfree(token);
	}
	EVP_PKEY_free(pair);
}
END_TEST

int
main(void)
{
	return testing_main("token/cache", setup, teardown,
	    (const TTest *[]){a_token_is_verified_once, the_same_token_has_the_same_grant,
		a_token_of_a_subscription_opens_no_connection, a_refusal_is_remembered_too,
		a_cached_token_expires, an_expired_token_is_valid_again_if_the_clock_is_set_back,
		a_token_of_the_future_becomes_valid, expired_results_are_freed_by_turns,
		new_keys_make_all_results_void, void_results_are_freed_by_turns,
		new_rules_make_all_results_void, without_keys_no_token_is_valid,
		a_token_has_at_most_16_kib, wrong_tokens_do_not_displace_valid_ones,
		the_results_used_longest_ago_make_room, a_grant_outlives_its_result,
		a_token_is_known_once_it_was_checked_with_these_keys,
		a_proof_replaces_verifying_the_signature, a_proof_is_for_one_token_and_one_key_set,
		there_is_no_proof_of_what_needs_no_public_key, NULL});
}
