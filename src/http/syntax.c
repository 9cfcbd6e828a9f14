#include "config.h"

#include "http/syntax.h"

#include <string.h>

bool
http_is_token_char(char c)
{
	switch (c) {
	case '!':
	case '#':
	case '$':
	case '%':
	case '&':
	case '\'':
	case '*':
	case '+':
	case '-':
	case '.':
	case '^':
	case '_':
	case '`':
	case '|':
	case '~':
		return true;
	default:
		return http_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
	}
}

bool
http_is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!http_is_token_char(s.ptr[i]))
			return false;
	return s.len > 0;
}

bool
http_is_field_value(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((c < ' ' && c != '\t') || c == 127)
			return false;
	}
	return true;
}

struct slice
http_trim(struct slice s)
{
	while (s.len > 0 && http_is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && http_is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

struct slice
http_take_until(struct slice *rest, char separator)
{
	const char *end = rest->len > 0 ? memchr(rest->ptr, separator, rest->len) : NULL;
	struct slice part = {rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len};
	size_t done = end != NULL ? part.len + 1 : part.len;

	rest->ptr += done;
	rest->len -= done;
	return part;
}
