#ifndef HTTP_HEADERS_H
#define HTTP_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/*
 * Header fields of a request (http/protocol.h), and the structure of some values: RFC 9110 5. Names
 * and tokens are compared without regard to ASCII case. Results are slices of the request.
 */

/* Returns the number of fields with this name. *value is that of the first one, or "". */
size_t http_header(const struct slice *args, size_t count, const char *name, struct slice *value);

/* Whether one of the comma-separated lists in the fields with this name has the token. */
bool http_header_has(const struct slice *args, size_t count, const char *name, const char *token);

/* Takes the next element of a comma-separated list from *list, without the blanks around it. Empty
 * elements are skipped. A comma in a quoted string does not separate. False at the end. */
bool http_next_element(struct slice *list, struct slice *element);

/* Whether a comma-separated list has the token. */
bool http_list_has(struct slice list, const char *token);

/* Returns the number of cookies with this name (RFC 6265 5.4; names have case). *value is that of
 * the first one, without surrounding quotes, or "". */
size_t http_cookie(const struct slice *args, size_t count, const char *name, struct slice *value);

/* A value without its parameters: "text/plain" of "text/plain; charset=utf-8". */
struct slice http_media_type(struct slice value);

/* Whether the client wants to use the connection further (RFC 9112 9.3). */
bool http_is_persistent(const struct slice *args, size_t count);

#endif
