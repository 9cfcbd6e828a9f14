#include "config.h"

#include "rdb/string.h"

#include <math.h>
#include <string.h>

#include "base/float_text.h"
#include "rdb/input.h"
#include "rdb/lzf.h"

/* The two highest bits of the first byte. */
enum { LENGTH_6_BITS, LENGTH_14_BITS, LENGTH_WORD, LENGTH_ENCODED };
enum { LENGTH_32_BITS = 0x80, LENGTH_64_BITS = 0x81 };
enum string_encoding { STRING_INT8, STRING_INT16, STRING_INT32, STRING_LZF, STRING_PLAIN = 64 };

/* The first bytes of a length, or of a string; *encoding is STRING_PLAIN for a length. */
static bool
take_length(struct rdb_input *in, uint64_t *len, enum string_encoding *encoding)
{
	uint64_t offset = rdb_input_offset(in);
	unsigned char first, bytes[8];
	size_t count = 0;

	if (!rdb_input_take(in, &first, 1))
		return false;
	*encoding = STRING_PLAIN;
	*len = first & 0x3f;
	switch (first >> 6) {
	case LENGTH_6_BITS:
		return true;
	case LENGTH_14_BITS:
		count = 1;
		break;
	case LENGTH_WORD:
		if (first != LENGTH_32_BITS && first != LENGTH_64_BITS)
			return rdb_input_fail(in, offset, "invalid length");
		count = first == LENGTH_32_BITS ? 4 : 8;
		*len = 0;
		break;
	default:
		if (*len > STRING_LZF)
			return rdb_input_fail(in, offset, "unknown encoding of a string");
		*encoding = (enum string_encoding) * len;
		return true;
	}
	if (!rdb_input_take(in, bytes, count))
		return false;
	for (size_t i = 0; i < count; i++)
		*len = *len << 8 | bytes[i];
	return true;
}

bool
rdb_length(struct rdb_input *in, uint64_t *len)
{
	uint64_t offset = rdb_input_offset(in);
	enum string_encoding encoding;

	if (!take_length(in, len, &encoding))
		return false;
	return encoding == STRING_PLAIN ||
	       rdb_input_fail(in, offset, "a string in place of a length");
}

static bool
take_number(struct rdb_input *in, enum string_encoding encoding, struct buffer *out)
{
	size_t count = (size_t)1 << encoding;
	unsigned char bytes[4] = {0};
	uint32_t raw = 0;
	int32_t number;

	if (!rdb_input_take(in, bytes, count))
		return false;
	for (size_t i = 0; i < count; i++)
		raw |= (uint32_t)bytes[i] << (8 * i);
	if (encoding == STRING_INT8)
		number = (int32_t)((raw ^ 0x80) - 0x80); /* the sign */
	else if (encoding == STRING_INT16)
		number = (int32_t)((raw ^ 0x8000) - 0x8000);
	else
		number = (int32_t)raw;
	buffer_appendf(out, "%d", number);
	return true;
}

static bool
take_compressed(struct rdb_input *in, struct buffer *out)
{
	uint64_t offset = rdb_input_offset(in), packed_len, len;
	struct buffer packed = {0};
	const char *fault = NULL;
	bool ok;

	if (!rdb_length(in, &packed_len) || !rdb_length(in, &len))
		return false;
	if (packed_len > RDB_STRING_MAX || len > RDB_STRING_MAX)
		return rdb_input_fail(in, offset, "a string is longer than 512 MiB");
	ok = rdb_input_append(in, &packed, packed_len);
	if (ok) {
		fault = rdb_lzf_expand(buffer_slice(&packed), (size_t)len, out);
		if (fault != NULL)
			ok = rdb_input_fail(in, offset, fault);
	}
	buffer_release(&packed);
	return ok;
}

bool
rdb_string(struct rdb_input *in, struct buffer *out)
{
	uint64_t offset = rdb_input_offset(in), len;
	enum string_encoding encoding;

	buffer_clear(out);
	if (!take_length(in, &len, &encoding))
		return false;
	if (encoding == STRING_LZF)
		return take_compressed(in, out);
	if (encoding != STRING_PLAIN)
		return take_number(in, encoding, out);
	if (len > RDB_STRING_MAX)
		return rdb_input_fail(in, offset, "a string is longer than 512 MiB");
	return rdb_input_append(in, out, len);
}

bool
rdb_skip_string(struct rdb_input *in)
{
	enum string_encoding encoding;
	uint64_t len, expanded_len;

	if (!take_length(in, &len, &encoding))
		return false;
	if (encoding == STRING_PLAIN)
		return rdb_input_skip(in, len);
	if (encoding != STRING_LZF)
		return rdb_input_skip(in, UINT64_C(1) << encoding);
	return rdb_length(in, &len) && rdb_length(in, &expanded_len) && rdb_input_skip(in, len);
}

bool
rdb_u64(struct rdb_input *in, uint64_t *value)
{
	unsigned char bytes[8];

	if (!rdb_input_take(in, bytes, sizeof(bytes)))
		return false;
	*value = 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		*value |= (uint64_t)bytes[i] << (8 * i);
	return true;
}

bool
rdb_u32(struct rdb_input *in, uint32_t *value)
{
	unsigned char bytes[4];

	if (!rdb_input_take(in, bytes, sizeof(bytes)))
		return false;
	*value = 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		*value |= (uint32_t)bytes[i] << (8 * i);
	return true;
}

bool
rdb_score_text(struct rdb_input *in, struct buffer *out)
{
	enum { SCORE_NAN = 253, SCORE_PLUS_INF, SCORE_MINUS_INF };
	uint64_t offset = rdb_input_offset(in);
	unsigned char len;
	char text[256];
	long double value;

	if (!rdb_input_take(in, &len, 1))
		return false;
	if (len == SCORE_NAN)
		return rdb_input_fail(in, offset, "a score is not a number");
	if (len == SCORE_PLUS_INF || len == SCORE_MINUS_INF) {
		buffer_append_str(out, len == SCORE_PLUS_INF ? "inf" : "-inf");
		return true;
	}
	if (!rdb_input_take(in, text, len))
		return false;
	if (!float_text_parse((struct slice){text, len}, &value))
		return rdb_input_fail(in, offset, "a score is not a number");
	buffer_append(out, text, len);
	return true;
}

bool
rdb_score_binary(struct rdb_input *in, struct buffer *out)
{
	uint64_t offset = rdb_input_offset(in), bits;
	double value;

	if (!rdb_u64(in, &bits))
		return false;
	memcpy(&value, &bits, sizeof(value));
	if (isnan(value))
		return rdb_input_fail(in, offset, "a score is not a number");
	buffer_appendf(out, "%.17g", value);
	return true;
}
