#include "config.h"

#include "edge/publication.h"

#include "base/buffer.h"
#include "edge/form_text.h"
#include "edge/payload.h"
#include "edge/ws_form.h"
#include "json/utf8.h"
#include "json/writer.h"
#include "pubsub/wire_form.h"

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

/* The length of the valid UTF-8 at the beginning; a whole text of 65535 bytes takes microseconds
 * if it is valid, and every name is bounded by max-channel-length. */
static size_t
valid_len(struct slice s)
{
	size_t low = 0;

	for (size_t step = s.len; low < s.len; low += step) {
		for (step = 1; step <= 4 && low + step <= s.len; step++)
			if (json_is_utf8((struct slice){s.ptr + low, step}))
				break;
		if (step > 4 || low + step > s.len)
			break;
	}
	return low;
}

void
edge_put_name(struct buffer *out, struct slice name)
{
	struct buffer text = {0};

	if (json_is_utf8(name)) {
		json_put_string(out, name);
		return;
	}
	while (name.len > 0) {
		size_t len = valid_len(name);

		buffer_append(&text, name.ptr, len);
		if (len == name.len)
			break;
		buffer_append_str(&text, "\xef\xbf\xbd");
		name = (struct slice){name.ptr + len + 1, name.len - len - 1};
	}
	json_put_string(out, buffer_slice(&text));
	buffer_release(&text);
}
