#ifndef LINK_ENGINE_CALL_H
#define LINK_ENGINE_CALL_H

#include <stddef.h>

#include "base/buffer.h"

struct resp_value;

/* How the scripts of engine_script.h and presence_script.h are loaded and called. */

#define ENGINE_SHA_LEN 40 /* hexadecimal digits */

/* SCRIPT LOAD, and its reply: NULL, or why it is of no use, a constant text. */
void engine_put_text(struct buffer *out, const char *text);
const char *engine_take_sha(const struct resp_value *value, char sha[ENGINE_SHA_LEN + 1])
    __attribute__((warn_unused_result));

/* EVALSHA with so many keys, up to the first two: fanfare:engine and fanfare:channels, which all
 * scripts have. The other keys and the arguments follow. */
void engine_put_call(struct buffer *out, const char *sha, size_t keys, size_t arguments);

#endif
