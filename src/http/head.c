#include "config.h"

#include "http/head.h"

#include <string.h>

#include "base/hex.h"
#include "http/syntax.h"

const char *
http_cut_line_end(struct slice *line)
{
	if (line->len < 2 || line->ptr[line->len - 2] != '\r')
		return "400 line ends with a bare LF";
	line->len -= 2;
	return NULL;
}

static const char *
read_version(struct slice version, bool *is_1_0)
{
	if (version.len != strlen("HTTP/1.1") || memcmp(version.ptr, "HTTP/", 5) != 0 ||
	    !http_is_digit(version.ptr[5]) || version.ptr[6] != '.' ||
	    !http_is_digit(version.ptr[7]))
		return "400 invalid HTTP version";
	if (version.ptr[5] != '1')
		return "505 only HTTP/1.0 and HTTP/1.1 are supported";
	/* A later 1.x is used as 1.1: RFC 9110 2.5. */
	*is_1_0 = version.ptr[7] == '0';
	return NULL;
}

static bool
is_visible(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] >= 127)
			return false;
	return s.len > 0;
}

static const char *
check_target(struct slice method, struct slice target)
{
	if (!is_visible(target))
		return "400 invalid character in the request target";
	if (slice_is(method, "CONNECT"))
		return "501 CONNECT is not supported";
	if (slice_is(target, "*"))
		return slice_is(method, "OPTIONS") ? NULL : "400 target * is for OPTIONS only";
	if (target.ptr[0] != '/')
		return "400 request target must begin with /";
	if (memchr(target.ptr, '#', target.len) != NULL)
		return "400 fragment in the request target";
	return NULL;
}

/* The part of s before the blank at `blank`, and the part behind it. */
static struct slice
cut_at(struct slice *s, const char *blank)
{
	struct slice before = {s->ptr, (size_t)(blank - s->ptr)};

	s->ptr = blank + 1;
	s->len -= before.len + 1;
	return before;
}

const char *
http_read_request_line(struct slice line, struct http_request_line *out)
{
	const char *blank = memchr(line.ptr, ' ', line.len);
	const char *error;

	if (blank == NULL)
		return "400 invalid request line";
	out->method = cut_at(&line, blank);
	if (!http_is_token(out->method))
		return "400 invalid method";
	blank = memchr(line.ptr, ' ', line.len);
	if (blank == NULL)
		return "400 invalid request line";
	out->target = cut_at(&line, blank);
	error = read_version(line, &out->is_1_0);
	return error != NULL ? error : check_target(out->method, out->target);
}

const char *
http_read_field(struct slice line, struct slice *name, struct slice *value)
{
	const char *colon;

	if (http_is_blank(line.ptr[0]))
		return "400 folded header line";
	colon = memchr(line.ptr, ':', line.len);
	if (colon == NULL)
		return "400 header line without a colon";
	*name = cut_at(&line, colon);
	if (!http_is_token(*name))
		return "400 invalid header name";
	if (!http_is_field_value(line))
		return "400 invalid character in a header value";
	*value = http_trim(line);
	return NULL;
}

/* The characters of a name or IPv4 address (RFC 3986 3.2.2), without the comma: it would join two
 * fields. */
static bool
is_host_char(char c)
{
	return c != ',' && c != '\0' &&
	       (http_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		   strchr("-._~%!$&'()*+;=", c) != NULL);
}

/* A host and an optional port; may be empty (RFC 9110 7.2). */
static bool
is_host(struct slice s)
{
	size_t i = 0;

	if (s.len > 0 && s.ptr[0] == '[') {
		for (i = 1;
		     i < s.len && (hex_digit(s.ptr[i]) >= 0 || s.ptr[i] == ':' || s.ptr[i] == '.');
		     i++)
			;
		if (i == s.len || s.ptr[i] != ']' || i == 1)
			return false;
		i++;
	} else {
		while (i < s.len && is_host_char(s.ptr[i]))
			i++;
	}
	if (i < s.len && s.ptr[i] == ':')
		for (i++; i < s.len && http_is_digit(s.ptr[i]); i++)
			;
	return i == s.len;
}

static const char *
frame_host(struct http_framing *framing, struct slice value)
{
	if (framing->has_host)
		return "400 more than one Host";
	framing->has_host = true;
	return is_host(value) ? NULL : "400 invalid Host";
}

static const char *
frame_length(struct http_framing *framing, struct slice value)
{
	if (framing->has_length)
		return "400 more than one Content-Length";
	framing->has_length = true;
	if (slice_to_u64(value, &framing->length))
		return NULL;
	for (size_t i = 0; i < value.len; i++)
		if (!http_is_digit(value.ptr[i]))
			return "400 invalid Content-Length";
	if (value.len == 0 || value.ptr[0] == '0')
		return "400 invalid Content-Length";
	framing->length = UINT64_MAX;
	return NULL;
}

static const char *
frame_coding(struct http_framing *framing, struct slice value)
{
	if (framing->is_1_0)
		return "400 Transfer-Encoding in HTTP/1.0";
	if (framing->is_chunked)
		return "400 more than one Transfer-Encoding";
	if (value.len == 0)
		return "400 invalid Transfer-Encoding";
	if (!slice_is_nocase(value, "chunked"))
		return "501 unsupported transfer coding";
	framing->is_chunked = true;
	return NULL;
}

static const char *
frame_expectation(struct http_framing *framing, struct slice value)
{
	if (framing->is_1_0)
		return NULL;
	if (!slice_is_nocase(value, "100-continue"))
		return "417 unknown expectation";
	framing->expects_continue = true;
	return NULL;
}

const char *
http_frame_field(struct http_framing *framing, struct slice name, struct slice value)
{
	if (slice_is_nocase(name, "Host"))
		return frame_host(framing, value);
	if (slice_is_nocase(name, "Content-Length"))
		return frame_length(framing, value);
	if (slice_is_nocase(name, "Transfer-Encoding"))
		return frame_coding(framing, value);
	if (slice_is_nocase(name, "Expect"))
		return frame_expectation(framing, value);
	return NULL;
}

const char *
http_frame_end(const struct http_framing *framing)
{
	if (!framing->is_1_0 && !framing->has_host)
		return "400 no Host";
	if (framing->is_chunked && framing->has_length)
		return "400 both Content-Length and Transfer-Encoding";
	return NULL;
}
