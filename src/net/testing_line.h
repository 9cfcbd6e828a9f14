#ifndef NET_TESTING_LINE_H
#define NET_TESTING_LINE_H

#include "base/protocol.h"

/*
 * For tests: a second protocol beside RESP, in which a request is a line of one argument. Limits:
 * line_bytes. A line that ends with "RESP" ends a batch, as the service may switch there. It keeps
 * its state between requests once it has seen the line "KEEP".
 */
extern const struct protocol testing_line_protocol;

#endif
