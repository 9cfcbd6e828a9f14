#include "config.h"

#include "http/chunks.h"

#include "base/hex.h"

enum { LINE_ALLOWANCE = 16 };

enum state {
	STATE_FIRST_DIGIT,
	STATE_DIGITS,
	STATE_EXTENSION,
	STATE_LINE_LF,
	STATE_DATA,
	STATE_DATA_CR,
	STATE_DATA_LF,
};

/* The result of a step: CONTINUE, or that of http_chunks_next(). */
enum { CONTINUE = -1 };

static int
read_digit(struct http_chunks *k, const struct http_chunk_limits *limits, char c)
{
	int digit = hex_digit(c);
	size_t most;

	if (digit < 0) {
		if (k->state == STATE_FIRST_DIGIT || (c != ';' && c != '\r'))
			return HTTP_CHUNKS_INVALID;
		k->state = c == ';' ? STATE_EXTENSION : STATE_LINE_LF;
		return CONTINUE;
	}
	k->state = STATE_DIGITS;
	most = limits->body_bytes > k->total ? limits->body_bytes - k->total : 0;
	if (k->left > most / 16 || k->left * 16 + (size_t)digit > most)
		return HTTP_CHUNKS_LARGE;
	k->left = k->left * 16 + (size_t)digit;
	return CONTINUE;
}

static int
read_extension(struct http_chunks *k, char c)
{
	if (c == '\r')
		k->state = STATE_LINE_LF;
	else if (((unsigned char)c < ' ' && c != '\t') || c == 127)
		return HTTP_CHUNKS_INVALID;
	return CONTINUE;
}

static int
end_line(struct http_chunks *k)
{
	size_t paid = LINE_ALLOWANCE + 2 * k->left;

	k->excess += k->line_len;
	k->excess = k->excess > paid ? k->excess - paid : 0;
	k->line_len = 0;
	if (k->left == 0)
		return HTTP_CHUNKS_END;
	k->total += k->left;
	k->state = STATE_DATA;
	return CONTINUE;
}

/* Any byte that is not of the body. */
static int
read_byte(struct http_chunks *k, const struct http_chunk_limits *limits, char c)
{
	switch ((enum state)k->state) {
	case STATE_FIRST_DIGIT:
	case STATE_DIGITS:
		return read_digit(k, limits, c);
	case STATE_EXTENSION:
		return read_extension(k, c);
	case STATE_LINE_LF:
		return c == '\n' ? end_line(k) : HTTP_CHUNKS_INVALID;
	case STATE_DATA_CR:
		k->state = STATE_DATA_LF;
		return c == '\r' ? CONTINUE : HTTP_CHUNKS_INVALID;
	case STATE_DATA_LF:
		k->state = STATE_FIRST_DIGIT;
		return c == '\n' ? CONTINUE : HTTP_CHUNKS_INVALID;
	case STATE_DATA:
		break;
	}
	return HTTP_CHUNKS_INVALID;
}

static enum http_chunks_result
take_data(struct http_chunks *k, struct slice *in, struct slice *data)
{
	size_t len = in->len < k->left ? in->len : k->left;

	*data = (struct slice){in->ptr, len};
	in->ptr += len;
	in->len -= len;
	k->left -= len;
	if (k->left == 0)
		k->state = STATE_DATA_CR;
	return HTTP_CHUNKS_DATA;
}

enum http_chunks_result
http_chunks_next(struct http_chunks *k, const struct http_chunk_limits *limits, struct slice *in,
    struct slice *data)
{
	int result = CONTINUE;

	while (result == CONTINUE) {
		if (in->len == 0)
			return HTTP_CHUNKS_MORE;
		if (k->state == STATE_DATA)
			return take_data(k, in, data);
		if (k->excess > limits->excess_bytes ||
		    ++k->line_len > limits->excess_bytes - k->excess + LINE_ALLOWANCE)
			return HTTP_CHUNKS_EXCESS;
		result = read_byte(k, limits, *in->ptr);
		in->ptr++;
		in->len--;
	}
	return (enum http_chunks_result)result;
}
