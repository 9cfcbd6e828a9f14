#include "config.h"

#include "token/keys.h"

#include <assert.h>

#include "base/alloc.h"
#include "token/jwks.h"
#include "token/key.h"
#include "token/pem.h"

struct kept_key {
	struct token_key *key; /* owned */
	char *id;              /* owned; NULL if it has none */
	size_t id_len;
};

struct token_keys {
	struct kept_key items[TOKEN_KEYS_MAX];
	size_t count;
	size_t without_id;
	size_t refs;
};

struct token_keys *
token_keys_ref(struct token_keys *keys)
{
	keys->refs++;
	return keys;
}

void
token_keys_unref(struct token_keys *keys)
{
	if (keys == NULL || --keys->refs > 0)
		return;
	for (size_t i = 0; i < keys->count; i++) {
		token_key_free(keys->items[i].key);
		xfree(keys->items[i].id);
	}
	xfree(keys);
}

size_t
token_keys_count(const struct token_keys *keys)
{
	return keys->count;
}

static const struct kept_key *
find_id(const struct token_keys *keys, struct slice id)
{
	for (size_t i = 0; i < keys->count; i++) {
		const struct kept_key *kept = &keys->items[i];

		if (kept->id != NULL && slice_eq((struct slice){kept->id, kept->id_len}, id))
			return kept;
	}
	return NULL;
}

/* Takes key; id.ptr is NULL if there is none. Returns NULL, or why it cannot be added. */
static const char *
add(struct token_keys *keys, struct token_key *key, struct slice id)
{
	const char *why = NULL;

	if (keys->count == TOKEN_KEYS_MAX)
		why = "there are more than 256 keys";
	else if (id.ptr == NULL && keys->without_id == TOKEN_KEYS_WITHOUT_ID_MAX)
		why = "there are more than 8 keys without a key id";
	else if (id.ptr != NULL && find_id(keys, id) != NULL)
		why = "another key has the same key id";
	if (why != NULL) {
		token_key_free(key);
		return why;
	}
	keys->without_id += id.ptr == NULL;
	keys->items[keys->count++] = (struct kept_key){
	    .key = key,
	    .id = id.ptr != NULL ? xmemdup(id.ptr, id.len) : NULL,
	    .id_len = id.len,
	};
	return NULL;
}

static bool
add_secret(struct token_keys *keys, struct slice secret, struct buffer *error)
{
	const char *why;
	struct token_key *key = token_key_from_secret(secret, &why);

	if (key != NULL)
		why = add(keys, key, (struct slice){NULL, 0});
	if (why != NULL)
		buffer_appendf(error, "token-hmac-secret: %s", why);
	return why == NULL;
}

static bool
is_small(struct slice text, const char *path, struct buffer *error)
{
	if (text.len <= TOKEN_KEY_FILE_BYTES_MAX)
		return true;
	buffer_appendf(
	    error, "%s: a file of keys has at most %d bytes", path, (int)TOKEN_KEY_FILE_BYTES_MAX);
	return false;
}

static bool
add_pem(struct token_keys *keys, struct slice text, const char *path, struct buffer *error)
{
	struct token_key *key;
	const char *why = NULL;
	size_t number = 0;

	if (!is_small(text, path, error))
		return false;
	while (why == NULL && (key = token_pem_next(&text, &why)) != NULL) {
		number++;
		why = add(keys, key, (struct slice){NULL, 0});
	}
	if (why == NULL && number > 0)
		return true;
	if (why == NULL)
		buffer_appendf(
		    error, "%s: no public key in PEM (\"-----BEGIN PUBLIC KEY-----\")", path);
	else
		buffer_appendf(error, "%s: key %zu: %s", path, number + 1, why);
	return false;
}

static bool
add_jwks(struct token_keys *keys, struct slice text, const char *path, struct buffer *error)
{
	struct token_jwks set;
	struct token_key *key;
	struct buffer room = {0};
	struct slice id;
	const char *why = NULL;
	size_t added = 0;
	enum token_jwk outcome = TOKEN_JWK_END;

	if (!is_small(text, path, error))
		return false;
	if (!token_jwks_open(&set, text)) {
		buffer_appendf(error, "%s: not a JSON Web Key Set ({\"keys\":[...]})", path);
		return false;
	}
	while (why == NULL &&
	       (outcome = token_jwks_next(&set, &key, &room, &id, &why)) != TOKEN_JWK_END) {
		if (outcome != TOKEN_JWK_READ)
			continue;
		added++;
		why = add(keys, key, id);
	}
	buffer_release(&room);
	if (why != NULL)
		buffer_appendf(error, "%s: key %zu: %s", path, set.number, why);
	else if (added == 0)
		buffer_appendf(error,
		    "%s: no key for HS256, HS384, HS512, RS256, ES256 or EdDSA (Ed25519)", path);
	return why == NULL && added > 0;
}

struct token_keys *
token_keys_new(const struct token_key_sources *sources, struct buffer *error)
{
	struct token_keys *keys = xcalloc(1, sizeof(*keys));

	keys->refs = 1;
	if ((sources->hmac_secret.len == 0 || add_secret(keys, sources->hmac_secret, error)) &&
	    (sources->public_keys.len == 0 ||
		add_pem(keys, sources->public_keys, sources->public_key_path, error)) &&
	    (sources->jwks.len == 0 || add_jwks(keys, sources->jwks, sources->jwks_path, error)))
		return keys;
	token_keys_unref(keys);
	return NULL;
}

static bool
has_algorithm(const struct kept_key *kept, enum token_algorithm algorithm)
{
	return (token_key_algorithms(kept->key) & TOKEN_ALGORITHM_BIT(algorithm)) != 0;
}

/* The keys of the algorithm with or without an id; at most as many as found has room for. Returns
 * how many there are. */
static size_t
collect(const struct token_keys *keys, enum token_algorithm algorithm, bool with_id,
    const struct token_key *found[TOKEN_KEYS_WITHOUT_ID_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < keys->count; i++) {
		if ((keys->items[i].id != NULL) != with_id ||
		    !has_algorithm(&keys->items[i], algorithm))
			continue;
		if (count < TOKEN_KEYS_WITHOUT_ID_MAX)
			found[count] = keys->items[i].key;
		count++;
	}
	return count;
}

size_t
token_keys_find(const struct token_keys *keys, enum token_algorithm algorithm,
    const struct slice *id, const struct token_key *found[TOKEN_KEYS_WITHOUT_ID_MAX],
    enum token_fault *fault)
{
	const struct kept_key *kept = id != NULL ? find_id(keys, *id) : NULL;
	size_t count;

	*fault = TOKEN_ALGORITHM;
	if (kept != NULL) {
		found[0] = kept->key;
		return has_algorithm(kept, algorithm) ? 1 : 0;
	}
	count = collect(keys, algorithm, false, found);
	if (count > 0)
		return count;
	count = collect(keys, algorithm, true, found);
	if (id == NULL && count == 1)
		return 1;
	if (count > 0)
		*fault = TOKEN_UNKNOWN_KEY;
	return 0;
}
