#ifndef TOKEN_PEM_H
#define TOKEN_PEM_H

#include <stdbool.h>

#include "base/bytes.h"

/* Reads public keys from PEM: blocks PUBLIC KEY and CERTIFICATE. */
struct token_key;

/*
 * The key of the first block of *text, which then begins behind that block. NULL: *why says what
 * is wrong, or is NULL if there are no more blocks. Text between blocks is skipped.
 */
struct token_key *token_pem_next(struct slice *text, const char **why)
    __attribute__((warn_unused_result));

#endif
