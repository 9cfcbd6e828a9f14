#ifndef NET_TESTING_LINE_H
#define NET_TESTING_LINE_H

#include "base/protocol.h"

/*
 * For tests: a second protocol beside RESP, in which a request is a line of one argument. Its only
 * limit is line_bytes. A line that ends with "RESP" ends a batch, because the service may switch
 * the protocol there. It keeps its state between requests once it has seen the line "KEEP".
 */
extern const struct protocol testing_line_protocol;

#endif
