#ifndef BASE_AMOUNT_H
#define BASE_AMOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/* The notations of configuration values that several layers read and write: yes and no, and amounts
 * of memory. */
bool amount_parse_bool(struct slice text, bool *out) __attribute__((warn_unused_result));

/* Bytes, alone or with b, k (1000), kb (1024), m, mb, g, gb, in any case. What exceeds 64 bits is
 * INT64_MAX. */
bool amount_parse_bytes(struct slice text, int64_t *out) __attribute__((warn_unused_result));
void amount_write_bytes(
    int64_t bytes, struct buffer *out); /* with the largest unit that divides it */

#endif
