#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Globs with exactly the meaning of Redis 7.2's stringmatchlen: `*`, `?`, `[abc]`, `[^a-z]`, `\x`.
 * No other module knows their syntax; the channel tree builds on glob_next().
 */
enum glob_kind {
	GLOB_LITERAL, /* the byte `literal` */
	GLOB_ANY,     /* one byte, any */
	GLOB_CLASS,   /* one byte of `set` */
	GLOB_STAR,    /* any number of bytes, also none */
};

struct glob_token {
	enum glob_kind kind;
	unsigned char literal;
	uint64_t set[4]; /* GLOB_CLASS: bit c%64 of set[c/64] says whether byte c is in it */
};

/* Reads the token at the start of pattern (which is not empty); returns its length in bytes. */
size_t glob_next(struct slice pattern, struct glob_token *token);

/* True if the pattern has a token other than a literal. */
bool glob_is_wild(struct slice pattern);

/*
 * True if text matches pattern. Time is at most pattern.len * text.len, without recursion.
 * An empty text is matched by the empty pattern only, as in Redis. nocase folds ASCII letters.
 */
bool glob_match(struct slice pattern, struct slice text, bool nocase);

#endif
