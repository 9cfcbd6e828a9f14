#ifndef BASE_FLOAT_TEXT_H
#define BASE_FLOAT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/*
 * Numbers with a fraction as text, as INCRBYFLOAT and HINCRBYFLOAT read and write them: long
 * double, as Redis's string2ld and ld2string.
 */

/* Room for float_text_put: the digits of the largest long double, and 17 more. */
#define FLOAT_TEXT_MAX 5120

/* Reads the whole slice. Infinities are accepted; NaN and leading blanks are not. False leaves *out
 * alone. */
bool float_text_parse(struct slice s, long double *out) __attribute__((warn_unused_result));

/* Writes up to 17 digits after the point, without trailing zeros and without an exponent. Writes no
 * NUL; returns the length. v is not NaN. */
size_t float_text_put(char out[FLOAT_TEXT_MAX], long double v);

/* Room for float_text_put_percent, with a NUL. */
#define FLOAT_TEXT_PERCENT_MAX 16

/* Writes a percentage, 0 to 100, as Redis writes percentiles: up to 6 digits after the point,
 * without trailing zeros; and a NUL. Returns the length. */
size_t float_text_put_percent(char out[FLOAT_TEXT_PERCENT_MAX], double percent);

#endif
