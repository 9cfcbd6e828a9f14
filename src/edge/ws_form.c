#include "config.h"

#include "edge/ws_form.h"

#include <assert.h>

#include "base/buffer.h"
#include "edge/form_text.h"
#include "edge/payload.h"
#include "http/ws_frame.h"
#include "json/utf8.h"
#include "json/writer.h"

#define LAGGED "{\"push\":{\"lagged\":{\"missed\":"

/* What stands before a pattern, escaped as part of a JSON string. */
static struct buffer glob_prefix;

void
ws_form_configure(const char *prefix)
{
	struct slice text = slice_of(prefix);

	if (!json_is_utf8(text))
		return;
	buffer_clear(&glob_prefix);
	json_put_string(&glob_prefix, text);
}

void
ws_form_release(void)
{
	buffer_release(&glob_prefix);
}

/* Without its quotes. */
static struct slice
escaped_prefix(void)
{
	if (glob_prefix.len == 0)
		return SLICE("");
	return (struct slice){glob_prefix.ptr + 1, glob_prefix.len - 2};
}

static void
put_tags(struct form_text *t, const struct hub_message *message, enum payload_kind kind)
{
	bool has_type = kind == PAYLOAD_TEXT || kind == PAYLOAD_BINARY;

	if (message->kind != HUB_PATTERN && !has_type)
		return;
	FORM_PUT(t, ",\"tags\":{");
	if (message->kind == HUB_PATTERN)
		form_put_name(t, "channel", SLICE(""), message->channel);
	if (message->kind == HUB_PATTERN && has_type)
		FORM_PUT(t, ",");
	if (has_type)
		FORM_PUT(t, "\"type\":");
	if (kind == PAYLOAD_TEXT)
		FORM_PUT(t, "\"text\"");
	else if (kind == PAYLOAD_BINARY)
		FORM_PUT(t, "\"base64\"");
	FORM_PUT(t, "}");
}

/* What follows the data in a publication. */
static void
put_publication_tail(struct form_text *t, const struct hub_message *message, enum payload_kind kind)
{
	if (message->position.seq != 0) {
		FORM_PUT(t, ",\"offset\":");
		form_put_u64(t, message->position.seq);
	}
	put_tags(t, message, kind);
	FORM_PUT(t, "}");
}

void
ws_put_head_text(struct form_text *t, const struct hub_message *message)
{
	FORM_PUT(t, "{\"push\":{");
	if (message->kind == HUB_PATTERN)
		form_put_name(t, "channel", escaped_prefix(), message->pattern);
	else
		form_put_name(t, "channel", SLICE(""), message->channel);
	FORM_PUT(t, ",\"pub\":{\"data\":");
}

void
ws_put_tail_text(
    struct form_text *t, const struct hub_message *message, const struct wire_body *body)
{
	put_publication_tail(t, message, (enum payload_kind)body->note);
	FORM_PUT(t, "}}");
}

bool
ws_measure(const struct hub_message *message, struct wire_body *body)
{
	struct payload_json json = payload_look(message);

	*body = (struct wire_body){.len = json.len, .note = json.kind};
	return true;
}

void
ws_transform(const struct hub_message *message, const struct wire_body *body, char *out)
{
	payload_write(message, (enum payload_kind)body->note, out);
}

size_t
ws_head_len_in(size_t frame_len)
{
	static const size_t lengths[] = {2, 4, WS_HEAD_MAX};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		if (frame_len >= lengths[i] && ws_head_len(frame_len - lengths[i]) == lengths[i])
			return lengths[i];
	assert(!"no frame has this length");
	return 0;
}

struct wire_ends
ws_ends(const struct hub_message *message, const struct wire_body *body)
{
	struct form_text head = {NULL, 0}, tail = {NULL, 0};

	ws_put_head_text(&head, message);
	ws_put_tail_text(&tail, message, body);
	return (struct wire_ends){
	    .head = ws_head_len(head.len + body->len + tail.len) + head.len,
	    .tail = tail.len,
	};
}

void
ws_write_ends(const struct hub_message *message, const struct wire_body *body,
    struct wire_ends ends, char *out)
{
	size_t frame_len = ends.head + body->len + ends.tail;
	size_t head_len = ws_head_len_in(frame_len);

	ws_write_head(out, WS_TEXT, false, frame_len - head_len);
	ws_put_head_text(&(struct form_text){out + head_len, 0}, message);
	ws_put_tail_text(&(struct form_text){out + ends.head + body->len, 0}, message, body);
}

size_t
ws_notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	struct form_text text = {NULL, 0};

	for (int pass = 0; pass < 2; pass++) {
		size_t len = text.len;

		text = (struct form_text){pass == 0 ? NULL : out, 0};
		if (pass == 1)
			text.len = ws_write_head(out, WS_TEXT, false, len);
		FORM_PUT(&text, LAGGED);
		form_put_missed(&text, missed);
		FORM_PUT(&text, "}}}");
	}
	return text.len;
}
