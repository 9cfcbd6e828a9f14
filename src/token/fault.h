#ifndef TOKEN_FAULT_H
#define TOKEN_FAULT_H

/* Why a token is refused. The texts name no part of the token, so they may be logged and sent. */
enum token_fault {
	TOKEN_OK,
	TOKEN_NO_KEYS, /* no key is configured, so no token can be valid */
	TOKEN_TOO_LARGE,
	TOKEN_MALFORMED,
	TOKEN_ALGORITHM, /* no algorithm, "none", one that is not supported or not that of the key
			  */
	TOKEN_CRITICAL,  /* the header demands extensions: "crit" */
	TOKEN_UNKNOWN_KEY,
	TOKEN_BAD_SIGNATURE,
	TOKEN_BAD_CLAIM, /* a claim with a wrong type or value, or one that is there twice */
	TOKEN_REGEX,     /* caps with "match":"regex" */
	TOKEN_EXPIRED,
	TOKEN_NOT_YET,
	TOKEN_AUDIENCE,
	TOKEN_ISSUER,
	TOKEN_OF_SUBSCRIPTION, /* it has the claim channel, where a connection needs one without */
	TOKEN_FAULTS           /* their number */
};

/* As in "the token has expired": a sentence without a full stop. */
const char *token_fault_text(enum token_fault fault);

/* As in "expired": lower case and underscores, for names of statistics. */
const char *token_fault_name(enum token_fault fault);

#endif
