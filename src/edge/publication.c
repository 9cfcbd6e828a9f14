#include "config.h"

#include "edge/publication.h"

#include "base/buffer.h"
#include "edge/form_text.h"
#include "edge/payload.h"
#include "edge/ws_form.h"
#include "pubsub/wire_form.h"
#include "json/utf8.h"
#include "json/writer.h"

/* The end of a push behind its object `pub`. */
#define PUSH_END_LEN 2

void
edge_put_publication(struct buffer *out, const struct hub_message *message)
{
	struct payload_json payload = payload_look(message);
	struct wire_body body = {.len = payload.len, .note = payload.kind};
	struct form_text tail = {0};

	buffer_append_str(out, "{\"data\":");
	payload_write(message, payload.kind, buffer_reserve(out, payload.len));
	out->len += payload.len;
	ws_put_tail_text(&tail, message, &body);
	tail = (struct form_text){.out = buffer_reserve(out, tail.len)};
	ws_put_tail_text(&tail, message, &body);
	out->len += tail.len - PUSH_END_LEN;
}

void
edge_put_name(struct buffer *out, struct slice name)
{
	struct buffer text = {0};

	while (name.len > 0) {
		size_t len = json_utf8_len(name);

		buffer_append_slice(
		    &text, len > 0 ? (struct slice){name.ptr, len} : SLICE("\xef\xbf\xbd"));
		len += len == 0;
		name = (struct slice){name.ptr + len, name.len - len};
	}
	json_put_string(out, buffer_slice(&text));
	buffer_release(&text);
}
