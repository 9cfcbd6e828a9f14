#ifndef CLI_REPLY_TEXT_H
#define CLI_REPLY_TEXT_H

#include "base/buffer.h"

struct resp_value;

/*
 * Replies as text, in the three formats of `fanfare call`. Each appends complete lines.
 */

/* As redis-cli prints on a terminal: with types, and strings quoted and escaped. */
void reply_text_pretty(struct buffer *out, const struct resp_value *value);

/* For a pipe: plain bytes, one line per item, without nesting. */
void reply_text_raw(struct buffer *out, const struct resp_value *value);

/*
 * One line of JSON. Strings that are not valid UTF-8 become {"base64":"..."}, errors
 * {"error":"..."}, doubles that JSON cannot express strings ("inf"). A map becomes an object; its
 * keys are converted to text.
 */
void reply_text_json(struct buffer *out, const struct resp_value *value);

#endif
