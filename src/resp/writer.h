#ifndef RESP_WRITER_H
#define RESP_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Writer of replies, RESP2 and RESP3, into a buffer. `proto` is 2 or 3. For a type that RESP2
 * lacks, Redis's own fallback is written (a map is a flat array, a double a bulk string, ...).
 * Source: the RESP3 specification (antirez/RESP3) and Redis's networking.c for the fallbacks.
 */
void resp_put_simple(struct buffer *out, const char *text); /* +text */
void resp_put_error(struct buffer *out, struct slice text); /* -text; CR and LF become spaces */
void resp_put_int(struct buffer *out, int64_t v);           /* :v */
void resp_put_bulk(struct buffer *out, struct slice s);     /* $len s */
void resp_put_bulk_str(struct buffer *out, const char *str);
void resp_put_bulk_int(struct buffer *out, int64_t v);
void resp_put_bulk_uint(struct buffer *out, uint64_t v);
void resp_put_array(struct buffer *out, size_t count);          /* *count */
void resp_put_map(struct buffer *out, int proto, size_t count); /* count pairs */
void resp_put_set(struct buffer *out, int proto, size_t count);
void resp_put_push(struct buffer *out, int proto, size_t count);
void resp_put_null(struct buffer *out, int proto);         /* $-1 or _ */
void resp_put_null_array(struct buffer *out, int proto);   /* *-1 or _ */
void resp_put_bool(struct buffer *out, int proto, bool v); /* :1 or #t */
void resp_put_double(struct buffer *out, int proto, double v);
void resp_put_verbatim(
    struct buffer *out, int proto, const char *kind, struct slice s); /* kind: "txt" */

/* For messages whose length must be known before they are written: the length of "$len\r\n" + s +
 * "\r\n"; the same written at out, which returns the end. */
size_t resp_bulk_len(size_t len);
char *resp_write_bulk(char *out, struct slice s);
char *resp_write_header(char *out, char type, size_t count); /* "*3\r\n": 1 + digits + 2 bytes */

#endif
