#ifndef TOKEN_KEYS_H
#define TOKEN_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "token/algorithm.h"
#include "token/fault.h"

/*
 * Key set: the keys that signatures of tokens are verified with. It is immutable. Each key has its
 * algorithms, which follow from the key and never from a token, so a public key is never used as a
 * secret. It opens no file: the bytes of files are arguments.
 *
 * Any thread may use it while somebody holds a reference. References are counted without atomics:
 * they belong to the main loop.
 */
struct token_key;
struct token_keys;

/* Slices are empty if there is no such source. The paths are for messages. */
struct token_key_sources {
	struct slice hmac_secret; /* token-hmac-secret: HS256, from 48 bytes on HS384, from 64 on
				     HS512 */
	struct slice public_keys; /* the file token-public-key-file: PEM */
	const char *public_key_path;
	struct slice jwks; /* the file token-jwks-file: RFC 7517 */
	const char *jwks_path;
};

enum {
	TOKEN_KEYS_MAX = 256,
	TOKEN_KEYS_WITHOUT_ID_MAX = 8, /* a token without a key id is tried with each of them */
	TOKEN_KEY_FILE_BYTES_MAX = 1 << 20,
};

/*
 * Reads all keys, of any of the sources. Keys of a JWKS that are for other purposes or algorithms
 * are skipped, as RFC 7517 says; a weak, private or damaged key and a repeated key id are refused.
 * NULL: error (to which it appends) says what is wrong, and in which file. Without any source it
 * is an empty set. Returns owned (token_keys_unref).
 */
struct token_keys *token_keys_new(const struct token_key_sources *sources, struct buffer *error)
    __attribute__((warn_unused_result));
struct token_keys *token_keys_ref(struct token_keys *keys);
void token_keys_unref(struct token_keys *keys); /* NULL is allowed */

size_t token_keys_count(const struct token_keys *keys);

/*
 * The keys that a token with this header may be signed with, each of which has the algorithm:
 * returns their number, 0 with *fault set. id is NULL if the token has no key id.
 *
 * With a known id it is the key of that id and no other. With an unknown one, or none, these are
 * the keys without id, because files of PEM and secrets have no ids; a token without id may also
 * be signed with the only key of its algorithm, if that has an id. Borrows.
 */
size_t token_keys_find(const struct token_keys *keys, enum token_algorithm algorithm,
    const struct slice *id, const struct token_key *found[TOKEN_KEYS_WITHOUT_ID_MAX],
    enum token_fault *fault);

#endif
