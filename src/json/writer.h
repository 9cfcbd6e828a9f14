#ifndef JSON_WRITER_H
#define JSON_WRITER_H

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Writes JSON (RFC 8259). A JSON string contains Unicode, but messages are arbitrary bytes, so
 * bytes that are not valid UTF-8 are written in base64 (RFC 4648), as a member with another name.
 */

/* The bytes of a string with its quotes, and writes them; returns where they end. */
size_t json_string_len(struct slice utf8);
char *json_write_string(char *out, struct slice utf8);

/* The same in base64. */
size_t json_base64_len(size_t len);
char *json_write_base64(char *out, struct slice s);

void json_put_string(struct buffer *out, struct slice utf8); /* with its quotes */
void json_put_base64(struct buffer *out, struct slice s);    /* with its quotes */

/* "name":"text" if value is valid UTF-8, otherwise "name_base64":"...". */
void json_put_member(struct buffer *out, const char *name, struct slice value);

#endif
