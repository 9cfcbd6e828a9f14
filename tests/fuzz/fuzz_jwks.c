#include "config.h"

#include <assert.h>
#include <stdint.h>

#include "base/buffer.h"
#include "token/key.h"
#include "token/keys.h"

/* Files of keys: a JWKS, or PEM behind a first byte '-'. A file that is refused has a reason. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
find_all(const struct token_keys *keys)
{
	const struct token_key *found[TOKEN_KEYS_WITHOUT_ID_MAX];
	struct slice id = SLICE("a");

	for (int algorithm = TOKEN_HS256; algorithm <= TOKEN_EDDSA; algorithm++)
		for (int with_id = 0; with_id < 2; with_id++) {
			enum token_fault fault;
			size_t count = token_keys_find(keys, (enum token_algorithm)algorithm,
			    with_id != 0 ? &id : NULL, found, &fault);

			assert(count <= TOKEN_KEYS_WITHOUT_ID_MAX);
			for (size_t i = 0; i < count; i++) {
				assert((token_key_algorithms(found[i]) &
					   TOKEN_ALGORITHM_BIT(algorithm)) != 0);
				assert(
				    !token_key_verifies(found[i], (enum token_algorithm)algorithm,
					SLICE("text"), SLICE("no signature")));
			}
		}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice text = {(const char *)data, len};
	struct token_key_sources sources = {.public_key_path = "key.pem", .jwks_path = "keys.json"};
	struct buffer error = {0};
	struct token_keys *keys;

	if (len == 0 || len > TOKEN_KEY_FILE_BYTES_MAX)
		return 0;
	if (data[0] == '-')
		sources.public_keys = text;
	else
		sources.jwks = text;
	keys = token_keys_new(&sources, &error);
	assert((keys == NULL) == (error.len > 0));
	if (keys != NULL) {
		assert(token_keys_count(keys) > 0);
		find_all(keys);
	}
	token_keys_unref(keys);
	buffer_release(&error);
	return 0;
}
