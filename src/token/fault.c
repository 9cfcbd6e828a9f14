#include "config.h"

#include "token/fault.h"

#include <assert.h>

static const struct {
	const char *name, *text;
} faults[TOKEN_FAULTS] = {
    [TOKEN_OK] = {"valid", "the token is valid"},
    [TOKEN_NO_KEYS] = {"no_keys", "no key for tokens is configured"},
    [TOKEN_TOO_LARGE] = {"too_large", "the token is longer than 16384 bytes"},
    [TOKEN_MALFORMED] = {"malformed", "the token is not a signed JSON web token"},
    [TOKEN_ALGORITHM] = {"algorithm", "the algorithm of the token is not one of its key"},
    [TOKEN_CRITICAL] = {"critical", "the header of the token demands an unknown extension"},
    [TOKEN_UNKNOWN_KEY] = {"unknown_key", "the key id of the token is unknown"},
    [TOKEN_BAD_SIGNATURE] = {"signature", "the signature of the token is wrong"},
    [TOKEN_BAD_CLAIM] = {"claim", "a claim of the token is invalid"},
    [TOKEN_REGEX] = {"regex", "the token has caps with regular expressions; use wildcards"},
    [TOKEN_EXPIRED] = {"expired", "the token has expired"},
    [TOKEN_NOT_YET] = {"not_yet", "the token is not valid yet"},
    [TOKEN_AUDIENCE] = {"audience", "the token is for another audience"},
    [TOKEN_ISSUER] = {"issuer", "the token is from another issuer"},
    [TOKEN_OF_SUBSCRIPTION] = {"subscription", "the token is for a subscription only"},
};

const char *
token_fault_text(enum token_fault fault)
{
	assert(fault < TOKEN_FAULTS);
	return faults[fault].text;
}

const char *
token_fault_name(enum token_fault fault)
{
	assert(fault < TOKEN_FAULTS);
	return faults[fault].name;
}
