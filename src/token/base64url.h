#ifndef TOKEN_BASE64URL_H
#define TOKEN_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* base64url without padding (RFC 7515, section 2). */

/* Room for what text_len characters decode to. */
#define BASE64URL_ROOM(text_len) ((text_len) / 4 * 3 + 3)

/*
 * Decodes the whole text into out, which has BASE64URL_ROOM(text.len) bytes. False: the text has
 * another character, an impossible length, or bits behind its last byte that are not 0. So two
 * different texts never decode to the same bytes.
 */
bool base64url_decode(struct slice text, unsigned char *out, size_t *len)
    __attribute__((warn_unused_result));

#endif
