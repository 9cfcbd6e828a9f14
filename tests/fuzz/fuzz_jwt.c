#include "config.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "token/base64url.h"
#include "token/cache.h"
#include "token/grant.h"
#include "token/keys.h"

/*
 * Tokens. The first byte of the input says what the rest is: T a token as it is, H the header and C
 * the claims of a token that is signed here with the right secret, so that they are read. A second
 * check of a token says the same as the first. A token that is valid as it is has no other text.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char secret[] = "a secret of sixty-four bytes, so that it is enough for HS512 too";
static const char jwks[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"p\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

enum { NOW_S = 1700000000 };

static struct tokens *
new_tokens(void)
{
	struct token_key_sources sources = {
	    .hmac_secret = SLICE(secret), .jwks = SLICE(jwks), .jwks_path = "keys.json"};
	struct token_rules rules = {.leeway_s = 5};
	struct tokens *tokens = tokens_new(TOKENS_CACHE_BYTES);
	struct buffer error = {0};
	struct token_keys *keys = token_keys_new(&sources, &error);

	assert(keys != NULL);
	tokens_configure(tokens, keys, &rules);
	return tokens;
}

static void
put_base64url(struct buffer *out, const void *bytes, size_t len)
{
	char *text = buffer_reserve(out, (len + 2) / 3 * 4 + 1);
	int text_len = EVP_EncodeBlock((unsigned char *)text, bytes, (int)len);

	while (text_len > 0 && text[text_len - 1] == '=')
		text_len--;
	for (int i = 0; i < text_len; i++)
		text[i] = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
	out->len += (size_t)text_len;
}

static void
put_token(struct buffer *out, struct slice header, struct slice claims)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned mac_len = 0;

	put_base64url(out, header.ptr, header.len);
	buffer_append_str(out, ".");
	put_base64url(out, claims.ptr, claims.len);
	assert(HMAC(EVP_sha256(), secret, (int)sizeof(secret) - 1, (const unsigned char *)out->ptr,
		   out->len, mac, &mac_len) != NULL);
	buffer_append_str(out, ".");
	put_base64url(out, mac, mac_len);
}

static void
use(const struct token_grant *grant)
{
	static const struct slice names[] = {{"", 0}, {"*", 1}, {"news", 4}, {"news.1", 6}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (int bit = 0; bit < 4; bit++) {
			bool as_channel = token_grant_allows(
			    grant, (enum token_right)(1 << bit), names[i], false);
			bool as_pattern =
			    token_grant_allows(grant, (enum token_right)(1 << bit), names[i], true);

			assert(grant->has_caps || (!as_channel && !as_pattern));
		}
	for (size_t i = 0; i < grant->channel_count; i++)
		assert(grant->channels[i].len > TOKEN_NAME_BYTES_MAX ||
		       token_grant_allows(grant, TOKEN_SUBSCRIBE, grant->channels[i], false));
	assert(!grant->has_end || grant->ends_s > NOW_S);
	assert(grant->not_before_s <= NOW_S + grant->leeway_s);
}

/* The parts of a valid token, decoded and encoded again, are the token. */
static void
check_spelling(struct slice token)
{
	struct buffer again = {0};
	const char *at = token.ptr, *end = token.ptr + token.len;

	while (at <= end) {
		const char *dot = at < end ? memchr(at, '.', (size_t)(end - at)) : NULL;
		struct slice part = {at, (size_t)((dot != NULL ? dot : end) - at)};
		unsigned char *bytes = xmalloc(BASE64URL_ROOM(part.len));
		size_t len;

		assert(base64url_decode(part, bytes, &len));
		put_base64url(&again, bytes, len);
		xfree(bytes);
		if (dot != NULL)
			buffer_append_str(&again, ".");
		at = part.ptr + part.len + 1;
	}
	assert(slice_eq(buffer_slice(&again), token));
	buffer_release(&again);
}

static void
check(struct tokens *tokens, struct slice token)
{
	struct token_grant *first, *second;
	enum token_fault fault = token_check(tokens, token, TOKEN_FOR_SUBSCRIPTION, NOW_S, &first);

	assert(token_check(tokens, token, TOKEN_FOR_SUBSCRIPTION, NOW_S, &second) == fault);
	assert(first == second && (first != NULL) == (fault == TOKEN_OK));
	if (first != NULL) {
		use(first);
		check_spelling(token);
	}
	token_grant_unref(first);
	token_grant_unref(second);
	tokens_turn(tokens, NOW_S);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct tokens *tokens;
	struct slice rest = {(const char *)data + 1, len - 1};
	struct buffer token = {0};

	if (len == 0 || len > 2 * TOKEN_BYTES_MAX)
		return 0;
	if (tokens == NULL)
		tokens = new_tokens();
	if (data[0] == 'T')
		buffer_append_slice(&token, rest);
	else if (data[0] == 'H')
		put_token(&token, rest, SLICE("{}"));
	else
		put_token(&token, SLICE("{\"alg\":\"HS256\"}"), rest);
	check(tokens, buffer_slice(&token));
	buffer_release(&token);
	return 0;
}
