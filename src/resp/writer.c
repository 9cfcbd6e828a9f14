#include "config.h"

#include "resp/writer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Type byte, the digits of a 64-bit number with its sign, CR LF. */
enum { HEADER_MAX = 1 + BYTES_I64_MAX + 2 };

static size_t
count_digits(size_t v)
{
	size_t digits = 1;

	for (; v >= 10; v /= 10)
		digits++;
	return digits;
}

char *
resp_write_header(char *out, char type, size_t count)
{
	*out++ = type;
	if (count < 10)
		*out++ = (char)('0' + count);
	else
		out += bytes_from_i64(out, (int64_t)count);
	*out++ = '\r';
	*out++ = '\n';
	return out;
}

size_t
resp_bulk_len(size_t len)
{
	return 1 + count_digits(len) + 2 + len + 2;
}

char *
resp_write_bulk(char *out, struct slice s)
{
	out = resp_write_header(out, '$', s.len);
	if (s.len > 0)
		memcpy(out, s.ptr, s.len);
	out += s.len;
	*out++ = '\r';
	*out++ = '\n';
	return out;
}

/* "<type><v>\r\n" */
static void
put_number(struct buffer *out, char type, int64_t v)
{
	char *start = buffer_reserve(out, HEADER_MAX);
	char *end = start;

	*end++ = type;
	end += bytes_from_i64(end, v);
	*end++ = '\r';
	*end++ = '\n';
	out->len += (size_t)(end - start);
}

/* A count above INT64_MAX is a bug of the caller. */
static void
put_header(struct buffer *out, char type, size_t count)
{
	put_number(out, type, (int64_t)count);
}

void
resp_put_simple(struct buffer *out, const char *text)
{
	buffer_append(out, "+", 1);
	buffer_append_str(out, text);
	buffer_append(out, "\r\n", 2);
}

void
resp_put_error(struct buffer *out, struct slice text)
{
	char *at = buffer_reserve(out, 1 + text.len + 2);
	size_t i;

	*at++ = '-';
	/* The text may quote bytes of a peer, which could forge replies with a line end. */
	for (i = 0; i < text.len; i++)
		*at++ = text.ptr[i] == '\r' || text.ptr[i] == '\n' ? ' ' : text.ptr[i];
	*at++ = '\r';
	*at++ = '\n';
	out->len += 1 + text.len + 2;
}

void
resp_put_int(struct buffer *out, int64_t v)
{
	put_number(out, ':', v);
}

void
resp_put_bulk(struct buffer *out, struct slice s)
{
	char *start = buffer_reserve(out, HEADER_MAX + s.len + 2);

	out->len += (size_t)(resp_write_bulk(start, s) - start);
}

void
resp_put_bulk_str(struct buffer *out, const char *str)
{
	resp_put_bulk(out, slice_of(str));
}

void
resp_put_bulk_int(struct buffer *out, int64_t v)
{
	char digits[BYTES_I64_MAX];

	resp_put_bulk(out, (struct slice){digits, bytes_from_i64(digits, v)});
}

void
resp_put_bulk_uint(struct buffer *out, uint64_t v)
{
	char digits[BYTES_U64_MAX];

	resp_put_bulk(out, (struct slice){digits, bytes_from_u64(digits, v)});
}

void
resp_put_array(struct buffer *out, size_t count)
{
	put_header(out, '*', count);
}

void
resp_put_map(struct buffer *out, int proto, size_t count)
{
	if (proto >= 3)
		put_header(out, '%', count);
	else
		put_header(out, '*', count * 2);
}

void
resp_put_set(struct buffer *out, int proto, size_t count)
{
	put_header(out, proto >= 3 ? '~' : '*', count);
}

void
resp_put_push(struct buffer *out, int proto, size_t count)
{
	put_header(out, proto >= 3 ? '>' : '*', count);
}

void
resp_put_null(struct buffer *out, int proto)
{
	buffer_append_str(out, proto >= 3 ? "_\r\n" : "$-1\r\n");
}

void
resp_put_null_array(struct buffer *out, int proto)
{
	buffer_append_str(out, proto >= 3 ? "_\r\n" : "*-1\r\n");
}

void
resp_put_bool(struct buffer *out, int proto, bool v)
{
	if (proto >= 3)
		buffer_append_str(out, v ? "#t\r\n" : "#f\r\n");
	else
		put_number(out, ':', v ? 1 : 0);
}

void
resp_put_double(struct buffer *out, int proto, double v)
{
	char text[40];

	/* Written by hand, because printf prints the sign of a NaN. */
	if (isnan(v))
		snprintf(text, sizeof(text), "nan");
	else if (isinf(v))
		snprintf(text, sizeof(text), "%s", v > 0 ? "inf" : "-inf");
	else
		snprintf(text, sizeof(text), "%.17g", v);
	if (proto >= 3)
		buffer_appendf(out, ",%s\r\n", text);
	else
		resp_put_bulk_str(out, text);
}

void
resp_put_verbatim(struct buffer *out, int proto, const char *kind, struct slice s)
{
	if (proto < 3) {
		resp_put_bulk(out, s);
		return;
	}
	put_header(out, '=', s.len + 4);
	buffer_append(out, kind, 3);
	buffer_append(out, ":", 1);
	buffer_append_slice(out, s);
	buffer_append(out, "\r\n", 2);
}
