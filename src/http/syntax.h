#ifndef HTTP_SYNTAX_H
#define HTTP_SYNTAX_H

#include <stdbool.h>

#include "base/bytes.h"

/* Characters of HTTP: RFC 9110 5.5 and 5.6. */

static inline bool
http_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline bool
http_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool http_is_token_char(char c);
bool http_is_token(struct slice s);       /* not empty */
bool http_is_field_value(struct slice s); /* no control character except HTAB */
struct slice http_trim(struct slice s);   /* without the blanks and HTABs around it */

/* The part of *rest up to the separator, or all of it. It is taken from *rest, with the separator.
 */
struct slice http_take_until(struct slice *rest, char separator);

#endif
