#ifndef APP_SETTING_FAULT_H
#define APP_SETTING_FAULT_H

#include <stddef.h>

#include "app/setting.h"
#include "base/buffer.h"
#include "base/bytes.h"

/*
 * What is wrong with a value, in words.
 */

/* Append what is wrong: in Redis's words for CONFIG SET; for a file, with what is allowed. */
void setting_describe_fault(
    const struct setting *row, enum setting_fault fault, struct buffer *out);
void setting_explain_fault(const struct setting *row, enum setting_fault fault,
    const struct slice *values, size_t count, struct buffer *out);

#endif
