#ifndef APP_SETTING_VALUE_H
#define APP_SETTING_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * The notations of values in a configuration: octal, choices, quoted words (yes and no, and amounts
 * of memory: base/amount.h). Text in, value out, and back. It knows no setting.
 */
bool value_parse_octal(struct slice text, int64_t *out) __attribute__((warn_unused_result));

/* choices are names separated by blanks; finds the index of the one that equals text in any case.
 */
bool value_parse_choice(const char *choices, struct slice text, uint32_t *out)
    __attribute__((warn_unused_result));
struct slice value_choice(const char *choices, uint32_t index);    /* borrows; empty past the end */
void value_write_choices(const char *choices, struct buffer *out); /* "a, b, c" */

/* The names of the bits that are set, separated by blanks. */
void value_write_flags(const char *choices, uint32_t flags, struct buffer *out);

/* Pairs of at least 1 second and at least 0 changes. */
bool value_are_save_rules(const struct slice *words, size_t count);

/* "*", or "https://app.example.com:8443": scheme, host and port in lower case, as in the header
 * Origin of a browser (RFC 6454 6.2). */
bool value_is_origin(struct slice text);

/* Writes one word, in quotes if the reader would not read it as one word without. */
void value_write_word(struct slice word, struct buffer *out);

#endif
