#ifndef JSON_UTF8_H
#define JSON_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* UTF-8 as in RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF. */

/* Length of the well-formed sequence at the start of s, which is not empty; 0: it is ill-formed. */
size_t json_utf8_len(struct slice s);

bool json_is_utf8(struct slice s);

#define JSON_UTF8_MAX 4

/* Writes a code point that is at most U+10FFFF and no surrogate; returns the length. */
size_t json_utf8_write(char out[JSON_UTF8_MAX], unsigned long code);

#endif
