#ifndef EDGE_PUBLICATION_H
#define EDGE_PUBLICATION_H

#include "base/bytes.h"

/* Publications: messages as JSON objects of the WebSocket protocol. For this layer only. */
struct buffer;
struct hub_message;

/* Appends {"data":...,"offset":44,"tags":{...}}: the object `pub` of a push of the wire form
 * EDGE_FORM_WS. */
void edge_put_publication(struct buffer *out, const struct hub_message *message);

/* Appends the name of a channel or member as a JSON string: bytes that are not UTF-8 become
 * U+FFFD. */
void edge_put_name(struct buffer *out, struct slice name);

#endif
