#ifndef TOKEN_CLAIMS_H
#define TOKEN_CLAIMS_H

#include <stdint.h>

#include "base/bytes.h"
#include "token/fault.h"

/*
 * Reads the claims of a verified token: sub, exp, nbf, iat, aud, iss and jti of RFC 7519;
 * expire_at, info, channels, channel and caps as Centrifugo has them; mercure.publish and
 * mercure.subscribe; fanfare.user. Others are ignored. Types are strict: a claim that is there, but
 * wrong or twice, makes the token invalid.
 */
struct token_grant;

/* What a token must say. */
struct token_rules {
	struct slice audience; /* empty: "aud" is not compared */
	struct slice issuer;   /* empty: "iss" is not compared */
	uint32_t leeway_s;     /* added to exp, subtracted from nbf */
};

#define TOKEN_TIME_MAX (((uint64_t)1 << 53) - 1) /* what every reader of JSON keeps exactly */

/*
 * TOKEN_OK: *out is a new grant (token_grant_unref). Times are read, not compared: see
 * token_grant_at(). Otherwise *out is left alone.
 */
enum token_fault token_claims_read(struct slice json, const struct token_rules *rules,
    struct token_grant **out) __attribute__((warn_unused_result));

#endif
