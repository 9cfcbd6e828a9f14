#ifndef HTTP_UTF8_STREAM_H
#define HTTP_UTF8_STREAM_H

#include <stdbool.h>

#include "base/bytes.h"

/*
 * Checks UTF-8 that arrives in pieces (RFC 3629: no surrogates, no overlong forms, nothing above
 * U+10FFFF). An invalid byte is found as soon as it arrives. A zeroed struct is the start of a
 * text.
 */
struct utf8_stream {
	unsigned char left; /* bytes that the sequence still needs */
	unsigned char low;  /* the range of the next byte, while left > 0 */
	unsigned char high;
};

/* False if no continuation of these bytes is valid; the struct is then unusable. */
bool utf8_stream_take(struct utf8_stream *u, struct slice bytes)
    __attribute__((warn_unused_result));

/* True if the text may end here. */
bool utf8_stream_is_whole(const struct utf8_stream *u);

#endif
