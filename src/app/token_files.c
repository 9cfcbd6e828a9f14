#include "config.h"

#include "app/token_files.h"

#include <errno.h>
#include <string.h>

#include "app/config_file.h"
#include "token/cache.h"
#include "token/keys.h"

static bool
read_file(const char *directive, const char *path, struct buffer *bytes, struct buffer *error)
{
	if (path[0] == '\0' || config_slurp(path, bytes))
		return true;
	buffer_appendf(error, "%s %s: %s", directive, path, strerror(errno));
	return false;
}

/* The bytes may be secrets. */
static void
forget(struct buffer *bytes)
{
	if (bytes->cap > 0)
		explicit_bzero(bytes->ptr, bytes->cap);
	buffer_release(bytes);
}

struct token_keys *
token_files_read(const struct settings *s, struct buffer *error)
{
	const struct token_settings *t = &s->tokens;
	struct buffer public_keys = {0}, jwks = {0};
	struct token_keys *keys = NULL;

	if (read_file("token-public-key-file", t->public_key_file, &public_keys, error) &&
	    read_file("token-jwks-file", t->jwks_file, &jwks, error)) {
		const struct token_key_sources sources = {
		    .hmac_secret = slice_of(t->hmac_secret),
		    .public_keys = buffer_slice(&public_keys),
		    .public_key_path = t->public_key_file,
		    .jwks = buffer_slice(&jwks),
		    .jwks_path = t->jwks_file,
		};

		keys = token_keys_new(&sources, error);
	}
	forget(&public_keys);
	forget(&jwks);
	return keys;
}

void
token_files_use(struct tokens *tokens, struct token_keys *keys, const struct settings *s)
{
	const struct token_rules rules = {
	    .audience = slice_of(s->edge.token_audience),
	    .issuer = slice_of(s->edge.token_issuer),
	    .leeway_s = s->edge.token_leeway_s,
	};

	tokens_configure(tokens, keys, &rules);
}
