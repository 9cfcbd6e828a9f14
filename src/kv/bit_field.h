#ifndef KV_BIT_FIELD_H
#define KV_BIT_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Bit field: an integer of 1 to 64 bits at any bit of a string, as BITFIELD has it. Bit 0 is the
 * highest bit of the first byte, and the first bit of a field is its highest.
 */
struct bit_field {
	uint64_t offset; /* of its first bit; below 2^62 */
	unsigned bits;   /* 1 to 64, or to 63 if it is unsigned */
	bool is_signed;
};

/* What happens to a value that the field cannot hold. */
enum bit_overflow {
	BIT_OVERFLOW_WRAP, /* its lowest bits are kept */
	BIT_OVERFLOW_SAT,  /* the nearest value that the field can hold */
	BIT_OVERFLOW_FAIL, /* it is refused */
};

/* The value of the field. Bits behind the end of s are 0. */
int64_t bit_field_get(struct slice s, const struct bit_field *field);

/* Stores the lowest bits of value. The whole field must lie within the string at `at`. */
void bit_field_put(char *at, const struct bit_field *field, int64_t value);

/*
 * The value that the field gets if incr is added to `value`, which it holds; or if it is set to
 * `value`, and incr is 0: then value may be any number. False: overflow, and it is refused.
 */
bool bit_field_add(const struct bit_field *field, enum bit_overflow overflow, int64_t value,
    int64_t incr, int64_t *result) __attribute__((warn_unused_result));

#endif
