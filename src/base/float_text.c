#include "config.h"

#include "base/float_text.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Redis accepts no longer text. */
#define PARSE_MAX 5119

bool
float_text_parse(struct slice s, long double *out)
{
	char text[PARSE_MAX + 1];
	char *end;
	long double v;

	if (s.len == 0 || s.len > PARSE_MAX || isspace((unsigned char)s.ptr[0]))
		return false;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	errno = 0;
	v = strtold(text, &end);
	if (end != text + s.len || isnan(v) || errno == EINVAL)
		return false;
	if (errno == ERANGE && (isinf(v) || fpclassify(v) == FP_ZERO))
		return false;
	*out = v;
	return true;
}

/* The length of a number without the zeros at the end of its fraction. */
static size_t
without_zeros(const char *text, size_t len)
{
	while (text[len - 1] == '0')
		len--;
	return text[len - 1] == '.' ? len - 1 : len;
}

size_t
float_text_put(char out[FLOAT_TEXT_MAX], long double v)
{
	size_t len;

	assert(!isnan(v));
	if (isinf(v)) {
		len = v > 0 ? 3 : 4;
		memcpy(out, v > 0 ? "inf" : "-inf", len);
		return len;
	}
	len = (size_t)snprintf(out, FLOAT_TEXT_MAX, "%.17Lf", v);
	assert(len < FLOAT_TEXT_MAX);
	len = without_zeros(out, len);
	if (len == 2 && out[0] == '-' && out[1] == '0') {
		out[0] = '0';
		len = 1;
	}
	return len;
}

size_t
float_text_put_percent(char out[FLOAT_TEXT_PERCENT_MAX], double percent)
{
	size_t len;

	assert(percent >= 0 && percent <= 100);
	len = (size_t)snprintf(out, FLOAT_TEXT_PERCENT_MAX, "%f", percent);
	len = without_zeros(out, len);
	out[len] = '\0';
	return len;
}
