#include "config.h"

#include "token/jwt.h"

#include <string.h>

#include "token/algorithm.h"
#include "token/base64url.h"
#include "token/key.h"
#include "token/keys.h"
#include "json/reader.h"

enum {
	SIGNATURE_CHARS_MAX = 2048, /* RSA with TOKEN_RSA_BITS_MAX bits has 1366 */
};

struct parts {
	struct slice header, claims, signature;
	struct slice is_signed; /* header and claims, with the dot between them */
};

/* False unless there are exactly two dots. */
static bool
split(struct slice token, struct parts *parts)
{
	const char *end, *first, *second;

	first = token.len > 0 ? memchr(token.ptr, '.', token.len) : NULL;
	if (first == NULL)
		return false;
	end = token.ptr + token.len;
	second = memchr(first + 1, '.', (size_t)(end - first - 1));
	if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL)
		return false;
	*parts = (struct parts){
	    .header = {token.ptr, (size_t)(first - token.ptr)},
	    .claims = {first + 1, (size_t)(second - first - 1)},
	    .signature = {second + 1, (size_t)(end - second - 1)},
	    .is_signed = {token.ptr, (size_t)(second - token.ptr)},
	};
	return true;
}

static bool
decode(struct slice text, struct buffer *out)
{
	size_t len;

	if (!base64url_decode(
		text, (unsigned char *)buffer_reserve(out, BASE64URL_ROOM(text.len)), &len))
		return false;
	out->len += len;
	return true;
}

/* What the header says: the algorithm, and the keys that may have signed. */
static enum token_fault
read_header(const struct token_keys *keys, struct slice json, enum token_algorithm *algorithm,
    const struct token_key *found[TOKEN_KEYS_WITHOUT_ID_MAX], size_t *count)
{
	struct json_value header, value;
	struct buffer room = {0};
	struct slice id;
	enum json_found id_found;
	enum token_fault fault = TOKEN_MALFORMED;

	if (!json_parse(json, &header) || header.type != JSON_OBJECT)
		return TOKEN_MALFORMED;
	switch (json_find(header, "alg", &value)) {
	case JSON_DUPLICATE:
		return TOKEN_MALFORMED;
	case JSON_ABSENT:
		return TOKEN_ALGORITHM;
	case JSON_FOUND:
		break;
	}
	if (!json_get_string(value, &room, &id) || !token_algorithm_find(id, algorithm))
		fault = TOKEN_ALGORITHM;
	else if (json_find(header, "crit", &value) != JSON_ABSENT)
		fault = TOKEN_CRITICAL;
	else if ((id_found = json_find(header, "kid", &value)) == JSON_ABSENT)
		*count = token_keys_find(keys, *algorithm, NULL, found, &fault);
	else if (id_found == JSON_FOUND && json_get_string(value, &room, &id))
		*count = token_keys_find(keys, *algorithm, &id, found, &fault);
	buffer_release(&room);
	return *count > 0 ? TOKEN_OK : fault;
}

/* What is known of a token before its signature is verified. */
struct reading {
	struct parts parts;
	enum token_algorithm algorithm;
	const struct token_key *found[TOKEN_KEYS_WITHOUT_ID_MAX];
	size_t count;
};

static enum token_fault
read_token(const struct token_keys *keys, struct slice token, struct reading *r)
{
	struct buffer header = {0};
	enum token_fault fault = TOKEN_MALFORMED;

	r->count = 0;
	if (!split(token, &r->parts))
		return TOKEN_MALFORMED;
	if (decode(r->parts.header, &header))
		fault =
		    read_header(keys, buffer_slice(&header), &r->algorithm, r->found, &r->count);
	buffer_release(&header);
	return fault;
}

bool
token_needs_public_key(const struct token_keys *keys, struct slice token)
{
	struct reading r;

	return read_token(keys, token, &r) == TOKEN_OK && r.algorithm >= TOKEN_RS256;
}

enum token_fault
token_verify(const struct token_keys *keys, struct slice token, struct buffer *claims)
{
	unsigned char signature[BASE64URL_ROOM(SIGNATURE_CHARS_MAX)];
	struct reading r;
	size_t signature_len;
	enum token_fault fault = read_token(keys, token, &r);

	if (fault != TOKEN_OK)
		return fault;
	if (r.parts.signature.len > SIGNATURE_CHARS_MAX ||
	    !base64url_decode(r.parts.signature, signature, &signature_len))
		return TOKEN_MALFORMED;
	for (size_t i = 0; i < r.count; i++)
		if (token_key_verifies(r.found[i], r.algorithm, r.parts.is_signed,
			(struct slice){(const char *)signature, signature_len}))
			return decode(r.parts.claims, claims) ? TOKEN_OK : TOKEN_MALFORMED;
	return TOKEN_BAD_SIGNATURE;
}
