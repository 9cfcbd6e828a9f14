#ifndef RESP_INLINE_H
#define RESP_INLINE_H

#include <stddef.h>

#include "base/bytes.h"

/*
 * Splits a line into arguments as Redis does (sdssplitargs): words between blanks; in double quotes
 * \xHH, \n, \r, \t, \b, \a and \<any> are escapes, in single quotes only \'. Redis reads inline
 * commands and its configuration file in this way.
 */
enum resp_inline {
	RESP_INLINE_END, /* no argument is left */
	RESP_INLINE_ARG,
	RESP_INLINE_UNBALANCED, /* a quote is not closed, or the closing quote is not followed by a
				   blank */
};

/*
 * Takes the next argument from the front of *rest and writes it at out, which has room for
 * rest->len bytes; *len is its length.
 */
enum resp_inline resp_inline_next(struct slice *rest, char *out, size_t *len)
    __attribute__((warn_unused_result));

#endif
