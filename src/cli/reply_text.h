#ifndef CLI_REPLY_TEXT_H
#define CLI_REPLY_TEXT_H

#include "base/buffer.h"

struct resp_value;

/*
 * Replies as text, in the three forms that `fanfare call` prints. Each appends whole lines.
 */

/* For a person, as redis-cli shows it on a terminal: types named, strings quoted and escaped. */
void reply_text_pretty(struct buffer *out, const struct resp_value *value);

/* For a pipe: the bytes alone, one line an item, nesting left out. */
void reply_text_raw(struct buffer *out, const struct resp_value *value);

/*
 * One line of JSON. Strings that are no UTF-8 become {"base64":"..."}, errors {"error":"..."},
 * doubles that JSON lacks strings ("inf"). A map is an object, whose keys are turned into text
 * where they are none.
 */
void reply_text_json(struct buffer *out, const struct resp_value *value);

#endif
