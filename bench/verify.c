#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/testing.h"
#include "token/cache.h"
#include "token/grant.h"
#include "token/keys.h"
#include "token/testing_token.h"

/*
 * What the check of a token costs: `make bench/verify && bench/verify` in a build folder. Processor
 * time in us of token_check() for each algorithm: for a token that was not seen before, for the
 * same token again, and for one with a wrong signature.
 */
enum { TOKENS = 500, WALL_S = 1000000000 };

static const struct {
	const char *name;
	const char *type; /* of testing_pair(); NULL: a secret */
} algorithms[] = {
    {"HS256", NULL},
    {"RS256", "RSA"},
    {"ES256", "P-256"},
    {"EdDSA", "ED25519"},
};

static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static char *
make_token(const char *algorithm, EVP_PKEY *pair, const char *secret, int number)
{
	char *header = xasprintf("{\"alg\":\"%s\",\"typ\":\"JWT\"}", algorithm);
	char *claims = xasprintf("{\"sub\":\"user.%d\",\"exp\":2000000000,\"caps\":[{\"channels\":"
				 "[\"news\",\"user.%d\"],\"allow\":[\"sub\"]}]}",
	    number, number);
	char *token = pair != NULL
			  ? testing_token_signed(pair, header, claims)
			  : testing_token_hmac(header, claims, slice_of(secret), EVP_sha256());

	xfree(header);
	xfree(claims);
	return token;
}

/* The time of one check of each token, which must have this result. */
static double
check_all(struct tokens *tokens, char *const made[TOKENS], enum token_fault expected)
{
	double begun_us = cpu_us();

	for (int i = 0; i < TOKENS; i++) {
		struct token_grant *grant;
		enum token_fault fault =
		    token_check(tokens, slice_of(made[i]), TOKEN_FOR_SUBSCRIPTION, WALL_S, &grant);

		token_grant_unref(grant);
		if (fault != expected) {
			fprintf(stderr, "verify: %s\n", token_fault_text(fault));
			exit(1);
		}
	}
	return (cpu_us() - begun_us) / TOKENS;
}

static struct tokens *
tokens_with(EVP_PKEY *pair)
{
	char *pem = pair != NULL ? testing_public_pem(pair) : xstrdup("");
	struct token_key_sources sources = {.public_key_path = "pem", .public_keys = slice_of(pem)};
	struct tokens *tokens = tokens_new(TOKENS_CACHE_BYTES);
	struct token_rules rules = {.leeway_s = 5};
	struct buffer error = {0};

	if (pair == NULL)
		sources.hmac_secret = slice_of(TESTING_SECRET);
	tokens_configure(tokens, token_keys_new(&sources, &error), &rules);
	buffer_release(&error);
	xfree(pem);
	return tokens;
}

static void
measure(const char *name, const char *type)
{
	EVP_PKEY *pair = type != NULL ? testing_pair(type) : NULL;
	EVP_PKEY *other = type != NULL ? testing_pair(type) : NULL;
	struct tokens *tokens = tokens_with(pair);
	char *good[TOKENS], *wrong[TOKENS];
	double first, again, refused;

	for (int i = 0; i < TOKENS; i++) {
		good[i] = make_token(name, pair, TESTING_SECRET, i);
		wrong[i] = make_token(name, other, "another secret, of 32 bytes or more", i);
	}
	first = check_all(tokens, good, TOKEN_OK);
	again = check_all(tokens, good, TOKEN_OK);
	refused = check_all(tokens, wrong, TOKEN_BAD_SIGNATURE);
	printf("| %s | %.1f | %.2f | %.1f |\n", name, first, again, refused);
	for (int i = 0; i < TOKENS; i++) {
		xfree(good[i]);
		xfree(wrong[i]);
	}
	tokens_free(tokens);
	EVP_PKEY_free(pair);
	EVP_PKEY_free(other);
}

/* A test, because the functions that make keys and tokens belong to tests. */
START_TEST(measure_all)
{
	puts("| us for each token | new | known | wrong signature |\n| --- | --- | --- | --- |");
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		measure(algorithms[i].name, algorithms[i].type);
}
END_TEST

int
main(void)
{
	return testing_main("bench/verify", NULL, NULL, (const TTest *[]){measure_all, NULL});
}
