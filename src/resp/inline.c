#include "config.h"

#include "resp/inline.h"

#include "base/hex.h"

/* The blanks of the C locale, independent of the process's locale. */
static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char
escaped_byte(char letter)
{
	switch (letter) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'b':
		return '\b';
	case 'a':
		return '\a';
	default:
		return letter;
	}
}

/* Reads one byte of a double-quoted part, escaped or not; returns how many bytes of the line it
 * took. */
static size_t
read_quoted(const char *at, size_t left, char *out)
{
	if (at[0] != '\\' || left < 2) {
		*out = at[0];
		return 1;
	}
	if (at[1] == 'x' && left >= 4 && hex_digit(at[2]) >= 0 && hex_digit(at[3]) >= 0) {
		*out = (char)(hex_digit(at[2]) * 16 + hex_digit(at[3]));
		return 4;
	}
	*out = escaped_byte(at[1]);
	return 2;
}

/* Reads the quoted part whose opening quote is at `at`. NULL if it is not closed, or no blank
 * follows. */
static const char *
read_part(const char *at, const char *end, char **out)
{
	char quote = *at++;

	while (at < end && *at != quote) {
		if (quote == '"') {
			at += read_quoted(at, (size_t)(end - at), (*out)++);
			continue;
		}
		if (*at == '\\' && end - at >= 2 && at[1] == quote)
			at++;
		*(*out)++ = *at++;
	}
	if (at == end || (at + 1 < end && !is_blank(at[1])))
		return NULL;
	return at + 1;
}

enum resp_inline
resp_inline_next(struct slice *rest, char *out, size_t *len)
{
	const char *at = rest->ptr;
	const char *end = at + rest->len;
	char *start = out;

	while (at < end && is_blank(*at))
		at++;
	if (at == end)
		return RESP_INLINE_END;
	/* A vertical tab or form feed separates arguments but does not end one, as in Redis. */
	while (at < end && *at != ' ' && *at != '\t' && *at != '\n' && *at != '\r') {
		if (*at != '"' && *at != '\'') {
			*out++ = *at++;
			continue;
		}
		at = read_part(at, end, &out);
		if (at == NULL)
			return RESP_INLINE_UNBALANCED;
		break;
	}
	*rest = (struct slice){at, (size_t)(end - at)};
	*len = (size_t)(out - start);
	return RESP_INLINE_ARG;
}
