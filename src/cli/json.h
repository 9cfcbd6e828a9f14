#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * The little JSON that the tool writes (RFC 8259). A JSON string holds Unicode only, and what
 * travels in messages is bytes; so bytes that are no UTF-8 are written in base64 (RFC 4648), under
 * a name that says so.
 */

/* UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing past U+10FFFF. */
bool json_is_utf8(struct slice s);

void json_put_string(struct buffer *out, struct slice utf8); /* with its quotes */
void json_put_base64(struct buffer *out, struct slice s);    /* with its quotes */

/* "name":"text" where value is UTF-8, else "name_base64":"...". */
void json_put_member(struct buffer *out, const char *name, struct slice value);

#endif
