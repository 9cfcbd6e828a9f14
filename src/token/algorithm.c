#include "config.h"

#include "token/algorithm.h"

#include <stddef.h>

static const struct {
	const char *name;
	enum token_algorithm algorithm;
} algorithms[] = {
    {"HS256", TOKEN_HS256},
    {"HS384", TOKEN_HS384},
    {"HS512", TOKEN_HS512},
    {"RS256", TOKEN_RS256},
    {"ES256", TOKEN_ES256},
    {"EdDSA", TOKEN_EDDSA},
    {"Ed25519", TOKEN_EDDSA},
};

bool
token_algorithm_find(struct slice name, enum token_algorithm *algorithm)
{
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (slice_is(name, algorithms[i].name)) {
			*algorithm = algorithms[i].algorithm;
			return true;
		}
	return false;
}
