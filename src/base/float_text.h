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

/* The whole slice, infinities included, no NaN, no blank in front. False leaves *out alone. */
bool float_text_parse(struct slice s, long double *out) __attribute__((warn_unused_result));

/* Up to 17 digits after the point, no zeros at the end, no exponent. Without a NUL; returns the
 * length. v is no NaN. */
size_t float_text_put(char out[FLOAT_TEXT_MAX], long double v);

#endif
