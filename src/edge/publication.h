#ifndef EDGE_PUBLICATION_H
#define EDGE_PUBLICATION_H

#include "base/bytes.h"

/* Publications: messages as JSON objects of the WebSocket protocol. For this layer only. */
struct buffer;
struct hub_message;

/* Appends {"data":...,"offset":44,"tags":{...}}: the object `pub` of a push of the wire form
 * EDGE_FORM_WS. */
void edge_put_publication(struct buffer *out, const struct hub_message *message);

/* Appends the name of a channel or member, or a text with one, as a JSON string: bytes that are not
 * UTF-8 become U+FFFD.
 * Messages name such a channel exactly ("channel_base64", edge/forms.h). The list of channels in a
 * `lagged` event and presence do not: a client loads its state anew for all channels in the list.
 * An unsubscription always names a channel that the WebSocket has sent, which is UTF-8. */
void edge_put_name(struct buffer *out, struct slice name);

#endif
