#include "config.h"

#include "token/jwks.h"

#include <openssl/crypto.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "token/algorithm.h"
#include "token/base64url.h"
#include "token/key.h"

enum {
	KEY_ID_BYTES_MAX = 256,
	STRING_BYTES_MAX = 6000, /* of a member: a secret of TOKEN_SECRET_BYTES_MAX fits */
};

/* The members that are strings. An absent one is {NULL, 0}. */
struct jwk {
	struct slice type, use, algorithm, curve, id, n, e, x, y, k;
};

static const struct {
	const char *name;
	size_t offset;
} strings[] = {
    {"kty", offsetof(struct jwk, type)},
    {"use", offsetof(struct jwk, use)},
    {"alg", offsetof(struct jwk, algorithm)},
    {"crv", offsetof(struct jwk, curve)},
    {"kid", offsetof(struct jwk, id)},
    {"n", offsetof(struct jwk, n)},
    {"e", offsetof(struct jwk, e)},
    {"x", offsetof(struct jwk, x)},
    {"y", offsetof(struct jwk, y)},
    {"k", offsetof(struct jwk, k)},
};

bool
token_jwks_open(struct token_jwks *set, struct slice text)
{
	struct json_value root, keys;

	if (!json_parse(text, &root) || root.type != JSON_OBJECT ||
	    json_find(root, "keys", &keys) != JSON_FOUND || keys.type != JSON_ARRAY)
		return false;
	*set = (struct token_jwks){.keys = json_elements(keys)};
	return true;
}

/* room has space for all strings of the object, so that it does not move. */
static const char *
read_strings(struct json_value object, struct buffer *room, struct jwk *jwk)
{
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		struct slice *out = (struct slice *)(void *)((char *)jwk + strings[i].offset);
		struct json_value value;
		enum json_found found = json_find(object, strings[i].name, &value);

		if (found == JSON_DUPLICATE)
			return "a member of the key is there twice";
		if (found == JSON_ABSENT)
			continue;
		if (value.type != JSON_STRING || value.text.len > STRING_BYTES_MAX ||
		    !json_get_string(value, room, out))
			return "a member of the key is not a string, or too long";
	}
	if (jwk->type.ptr == NULL)
		return "the key has no type (\"kty\")";
	if (jwk->id.ptr != NULL && (jwk->id.len == 0 || jwk->id.len > KEY_ID_BYTES_MAX))
		return "a key id has 1 to 256 bytes";
	return NULL;
}

static bool
may_verify(struct json_value object, const struct jwk *jwk)
{
	struct json_value operations, value;
	struct json_iterator it;

	if (jwk->use.ptr != NULL && !slice_is(jwk->use, "sig"))
		return false;
	switch (json_find(object, "key_ops", &operations)) {
	case JSON_ABSENT:
		return true;
	case JSON_DUPLICATE:
		return false;
	case JSON_FOUND:
		break;
	}
	if (operations.type != JSON_ARRAY)
		return false;
	it = json_elements(operations);
	while (json_next_element(&it, &value))
		if (json_string_is(value, "verify"))
			return true;
	return false;
}

/* The bytes of a member, in out (room for STRING_BYTES_MAX). Without it, or with an invalid one,
 * they are empty, which no key takes. */
static struct slice
bytes_of(struct slice text, unsigned char *out)
{
	size_t len = 0;

	if (text.ptr == NULL || !base64url_decode(text, out, &len))
		len = 0;
	return (struct slice){(const char *)out, len};
}

/* The bits of algorithms that keys of the type may have and that are supported; 0: none. */
static uint32_t
algorithms_of(const struct jwk *jwk)
{
	const uint32_t hmacs = TOKEN_ALGORITHM_BIT(TOKEN_HS256) | TOKEN_ALGORITHM_BIT(TOKEN_HS384) |
			       TOKEN_ALGORITHM_BIT(TOKEN_HS512);
	uint32_t of_type = 0;
	enum token_algorithm algorithm;

	if (slice_is(jwk->type, "RSA"))
		of_type = TOKEN_ALGORITHM_BIT(TOKEN_RS256);
	else if (slice_is(jwk->type, "EC") && slice_is(jwk->curve, "P-256"))
		of_type = TOKEN_ALGORITHM_BIT(TOKEN_ES256);
	else if (slice_is(jwk->type, "OKP") && slice_is(jwk->curve, "Ed25519"))
		of_type = TOKEN_ALGORITHM_BIT(TOKEN_EDDSA);
	else if (slice_is(jwk->type, "oct"))
		of_type = hmacs;
	if (jwk->algorithm.ptr == NULL)
		return of_type;
	if (!token_algorithm_find(jwk->algorithm, &algorithm))
		return 0;
	return of_type & TOKEN_ALGORITHM_BIT(algorithm);
}

static struct token_key *
make_key(const struct jwk *jwk, const char **why)
{
	unsigned char first[BASE64URL_ROOM(STRING_BYTES_MAX)];
	unsigned char second[BASE64URL_ROOM(STRING_BYTES_MAX)];
	struct token_key *key;

	if (slice_is(jwk->type, "RSA"))
		return token_key_from_rsa(bytes_of(jwk->n, first), bytes_of(jwk->e, second), why);
	if (slice_is(jwk->type, "EC"))
		return token_key_from_point(bytes_of(jwk->x, first), bytes_of(jwk->y, second), why);
	if (slice_is(jwk->type, "OKP"))
		return token_key_from_ed25519(bytes_of(jwk->x, first), why);
	key = token_key_from_secret(bytes_of(jwk->k, first), why);
	OPENSSL_cleanse(first, sizeof(first));
	return key;
}

static enum token_jwk
read_key(struct json_value object, struct buffer *room, struct token_key **key, struct slice *id,
    const char **why)
{
	struct jwk jwk = {0};
	struct json_value private;
	uint32_t algorithms;

	if ((*why = read_strings(object, room, &jwk)) != NULL)
		return TOKEN_JWK_REFUSED;
	algorithms = algorithms_of(&jwk);
	if (algorithms == 0 || !may_verify(object, &jwk))
		return TOKEN_JWK_SKIPPED;
	if (json_find(object, "d", &private) != JSON_ABSENT) {
		*why = "private key; only the public key is needed";
		return TOKEN_JWK_REFUSED;
	}
	*key = make_key(&jwk, why);
	if (*key == NULL)
		return TOKEN_JWK_REFUSED;
	if (!token_key_restrict(*key, algorithms)) {
		token_key_free(*key);
		*why = "the secret is too short for its algorithm";
		return TOKEN_JWK_REFUSED;
	}
	*id = jwk.id;
	return TOKEN_JWK_READ;
}

enum token_jwk
token_jwks_next(struct token_jwks *set, struct token_key **key, struct buffer *id_room,
    struct slice *id, const char **why)
{
	struct json_value object;

	if (!json_next_element(&set->keys, &object))
		return TOKEN_JWK_END;
	set->number++;
	if (object.type != JSON_OBJECT) {
		*why = "it is not an object";
		return TOKEN_JWK_REFUSED;
	}
	buffer_clear(id_room);
	(void)buffer_reserve(id_room, object.text.len);
	return read_key(object, id_room, key, id, why);
}
