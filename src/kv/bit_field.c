#include "config.h"

#include "kv/bit_field.h"

#include <assert.h>

/* A number whose lowest `bits` bits are set; bits is 0 to 64. */
static uint64_t
low_bits(unsigned bits)
{
	return bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
}

static int64_t
value_of(const struct bit_field *field, uint64_t raw)
{
	uint64_t sign = (uint64_t)1 << (field->bits - 1);

	raw &= low_bits(field->bits);
	if (field->is_signed && (raw & sign) != 0)
		raw |= ~low_bits(field->bits);
	return (int64_t)raw;
}

int64_t
bit_field_get(struct slice s, const struct bit_field *field)
{
	uint64_t byte = field->offset >> 3, raw = 0;
	unsigned skip = field->offset & 7, left = field->bits, i, take;

	assert(field->bits >= 1 && field->bits <= 64);
	for (i = 0; left > 0; i++) {
		unsigned value = byte + i < s.len ? (unsigned char)s.ptr[byte + i] : 0;

		take = 8 - skip < left ? 8 - skip : left;
		raw = raw << take | (value >> (8 - skip - take) & low_bits(take));
		left -= take;
		skip = 0;
	}
	return value_of(field, raw);
}

void
bit_field_put(char *at, const struct bit_field *field, int64_t value)
{
	unsigned skip = field->offset & 7, left = field->bits, shift, take;
	unsigned char mask, *byte = (unsigned char *)at + (field->offset >> 3);

	for (; left > 0; byte++) {
		take = 8 - skip < left ? 8 - skip : left;
		shift = 8 - skip - take;
		left -= take;
		mask = (unsigned char)(low_bits(take) << shift);
		*byte =
		    (unsigned char)((*byte & ~mask) | ((uint64_t)value >> left << shift & mask));
		skip = 0;
	}
}

/* Above the largest value: 1; below the smallest: -1; otherwise 0. */
static int
side_of_unsigned(const struct bit_field *field, int64_t value, int64_t incr)
{
	int64_t max = (int64_t)low_bits(field->bits);

	/* As in Redis, setting the field to a negative number counts as too large. */
	if (value < 0 || value > max || incr > max - value)
		return 1;
	return incr < -value ? -1 : 0;
}

static int
side_of_signed(const struct bit_field *field, int64_t value, int64_t incr)
{
	int64_t max = (int64_t)low_bits(field->bits - 1), min = -max - 1, sum;

	/* As in Redis, numbers so small that this difference overflows count as too large. */
	if (value > max || (field->bits < 64 && __builtin_sub_overflow(max, value, &sum)))
		return 1;
	if (value < min)
		return -1;
	if (__builtin_add_overflow(value, incr, &sum))
		return incr > 0 ? 1 : -1;
	return sum > max ? 1 : sum < min ? -1 : 0;
}

static int64_t
limit_of(const struct bit_field *field, int side)
{
	int64_t max = (int64_t)low_bits(field->is_signed ? field->bits - 1 : field->bits);

	if (side > 0)
		return max;
	return field->is_signed ? -max - 1 : 0;
}

bool
bit_field_add(const struct bit_field *field, enum bit_overflow overflow, int64_t value,
    int64_t incr, int64_t *result)
{
	int side = field->is_signed ? side_of_signed(field, value, incr)
				    : side_of_unsigned(field, value, incr);

	if (side != 0 && overflow == BIT_OVERFLOW_FAIL)
		return false;
	if (side != 0 && overflow == BIT_OVERFLOW_SAT)
		*result = limit_of(field, side);
	else
		*result = value_of(field, (uint64_t)value + (uint64_t)incr);
	return true;
}
