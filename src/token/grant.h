#ifndef TOKEN_GRANT_H
#define TOKEN_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "token/fault.h"

/*
 * Grant: what a verified token says, and what it allows. It is immutable and shared; each session
 * that uses it holds a reference. Times are seconds since 1970. It knows neither signatures nor
 * users: whether the user's own rules allow as much is for the caller to ask.
 *
 * References are counted without atomics: they belong to the main loop.
 */
enum token_right {
	TOKEN_SUBSCRIBE = 1 << 0,
	TOKEN_PUBLISH = 1 << 1,
	TOKEN_HISTORY = 1 << 2,
	TOKEN_PRESENCE = 1 << 3,
	TOKEN_ALL_RIGHTS = (1 << 4) - 1,
};

enum token_match {
	TOKEN_MATCH_EXACT, /* the channel with this name */
	TOKEN_MATCH_GLOB,  /* as in base/glob.h */
	TOKEN_MATCH_ALL,   /* every channel and pattern: the glob "*" */
};

/* One name or glob of the claims channels, channel, caps or mercure. */
struct token_cap {
	struct slice channel;
	uint8_t match;  /* enum token_match */
	uint8_t rights; /* enum token_right, or-ed */
};

/* Slices point into the grant's own memory. A string that the token does not have is {NULL, 0}. */
struct token_grant {
	struct slice subject;         /* sub: the user's name in the application */
	struct slice user;            /* fanfare.user: an ACL user, whose rules bound the token */
	struct slice info;            /* valid JSON, as it is in the token, line breaks included */
	struct slice channel;         /* of a subscription token: it allows this one channel */
	const struct slice *channels; /* server-side subscriptions, in the order of the token */
	size_t channel_count;
	const struct token_cap *caps; /* all that is granted, channels included */
	size_t cap_count;
	/* There is a claim about channels, even if it grants nothing. Without one, a token has the
	 * rights of its user, or without a user those of edge-user: see edge/rights.h. */
	bool has_caps;

	bool has_expiry;    /* there is exp */
	bool has_end;       /* sessions end with the token: exp, unless expire_at is 0 */
	uint64_t expires_s; /* exp; only with has_expiry */
	uint64_t refresh_s; /* when a client needs another token, by the issuer's clock: expire_at
			       or exp; only with has_end */
	uint64_t ends_s;    /* when a session ends: refresh_s and token-leeway; only with has_end */
	uint64_t not_before_s; /* nbf, or 0 */
	uint32_t leeway_s;     /* for the difference between clocks */
	size_t bytes;          /* that it takes in memory */
	size_t refs;
};

/* TOKEN_OK, TOKEN_EXPIRED (exp, or a session would end at once) or TOKEN_NOT_YET. */
enum token_fault token_grant_at(const struct token_grant *grant, uint64_t wall_s)
    __attribute__((warn_unused_result));

struct token_grant *token_grant_ref(struct token_grant *grant);
void token_grant_unref(struct token_grant *grant); /* NULL is allowed */

#define TOKEN_NAME_BYTES_MAX 1024 /* a longer channel or pattern is never allowed */

/*
 * True if the token's claims about channels allow this to the holder. is_pattern: `name` is a glob
 * that is subscribed to; it must be equal to a granted glob, or the glob "*" is granted, as in
 * ACLs. Its time is at most the length of the name times that of all globs of the token.
 */
bool token_grant_allows(const struct token_grant *grant, enum token_right right, struct slice name,
    bool is_pattern) __attribute__((warn_unused_result));

#endif
