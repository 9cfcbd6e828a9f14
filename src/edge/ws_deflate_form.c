#include "config.h"

#include "edge/ws_deflate_form.h"

#include <assert.h>
#include <string.h>

#include "base/buffer.h"
#include "edge/form_text.h"
#include "edge/payload.h"
#include "edge/ws_form.h"
#include "http/ws_deflate.h"
#include "http/ws_frame.h"

/*
 * A compressed frame is the head's text as stored blocks, the compressed data, and the tail's text
 * as stored blocks, so the data is compressed once, whatever channels and patterns it goes to. Data
 * that compression does not make shorter goes as in EDGE_FORM_WS.
 */
#define IS_COMPRESSED ((uint64_t)1 << 8) /* in wire_body.note, beside the kind */
#define KEPT_BYTES ((size_t)64 << 10)    /* room kept between messages */
#define STORED_OVERHEAD 11               /* of a short head and tail and the end */

/* A longer payload is not compressed: that would take the main loop several milliseconds, again for
 * each publisher that waits with one. */
#define COMPRESSED_MAX ((size_t)256 << 10)

/* Compressing is measuring: the bytes are kept until they are written. */
static struct {
	struct ws_deflater *deflater;
	size_t min_bytes;
	struct slice payload; /* what was compressed last: this payload of */
	uint64_t serial;      /* this message, */
	struct buffer bytes;  /* with this result */
	struct buffer text;
} deflated;

void
ws_deflate_form_configure(size_t deflate_min)
{
	deflated.min_bytes = deflate_min;
}

static void
forget(void)
{
	deflated.payload = (struct slice){NULL, 0};
	deflated.serial = 0;
	buffer_clear(&deflated.bytes);
	buffer_shrink(&deflated.bytes, KEPT_BYTES);
}

void
ws_deflate_form_release(void)
{
	forget();
	buffer_release(&deflated.bytes);
	buffer_release(&deflated.text);
	ws_deflater_free(deflated.deflater);
	deflated.deflater = NULL;
}

static bool
is_kept(const struct hub_message *message)
{
	return deflated.serial == message->serial && deflated.payload.ptr == message->payload.ptr &&
	       deflated.payload.len == message->payload.len;
}

static void
compress(const struct hub_message *message, enum payload_kind kind, size_t len)
{
	struct slice json = message->payload;

	forget();
	if (deflated.deflater == NULL)
		deflated.deflater = ws_deflater_new();
	if (kind != PAYLOAD_JSON) {
		char *out = buffer_reserve(&deflated.text, len);

		payload_write(message, kind, out);
		json = (struct slice){out, len};
	}
	ws_deflate(deflated.deflater, json, &deflated.bytes);
	buffer_shrink(&deflated.text, KEPT_BYTES);
	deflated.payload = message->payload;
	deflated.serial = message->serial;
}

bool
ws_deflate_measure(const struct hub_message *message, struct wire_body *body)
{
	struct payload_json json = payload_look(message);

	*body = (struct wire_body){.len = json.len, .note = json.kind};
	if (json.len < deflated.min_bytes || json.len > COMPRESSED_MAX)
		return true;
	/* The bytes of a message without a serial may have changed since. */
	if (message->serial == 0 || !is_kept(message))
		compress(message, json.kind, json.len);
	if (deflated.bytes.len + STORED_OVERHEAD < json.len)
		*body = (struct wire_body){
		    .len = deflated.bytes.len, .note = json.kind | IS_COMPRESSED};
	return true;
}

static bool
is_compressed(const struct wire_body *body)
{
	return (body->note & IS_COMPRESSED) != 0;
}

/* The body as EDGE_FORM_WS knows it; its length may be that of compressed data. */
static struct wire_body
plain(const struct wire_body *body)
{
	return (struct wire_body){.len = body->len, .note = body->note & ~IS_COMPRESSED};
}

void
ws_deflate_transform(const struct hub_message *message, const struct wire_body *body, char *out)
{
	if (!is_compressed(body)) {
		ws_transform(message, body, out);
		return;
	}
	/* Another message may have been measured since, if this one has a serial. */
	if (!is_kept(message)) {
		struct payload_json json = payload_look(message);

		compress(message, json.kind, json.len);
	}
	assert(deflated.bytes.len == body->len);
	memcpy(out, deflated.bytes.ptr, body->len);
}

struct wire_ends
ws_deflate_ends(const struct hub_message *message, const struct wire_body *body)
{
	struct wire_body its = plain(body);
	struct form_text head = {NULL, 0}, tail = {NULL, 0};
	size_t head_len, tail_len;

	if (!is_compressed(body))
		return ws_ends(message, &its);
	ws_put_head_text(&head, message);
	ws_put_tail_text(&tail, message, &its);
	head_len = ws_stored_len(head.len);
	tail_len = ws_stored_len(tail.len) + WS_DEFLATE_END_LEN;
	return (struct wire_ends){
	    .head = ws_head_len(head_len + body->len + tail_len) + head_len,
	    .tail = tail_len,
	};
}

/* Room for a text of at most len bytes, until the next call. */
static struct form_text
begin_text(size_t len)
{
	buffer_clear(&deflated.text);
	return (struct form_text){buffer_reserve(&deflated.text, len), 0};
}

void
ws_deflate_write_ends(const struct hub_message *message, const struct wire_body *body,
    struct wire_ends ends, char *out)
{
	struct wire_body its = plain(body);
	size_t frame_len = ends.head + body->len + ends.tail;
	size_t head_len;
	struct form_text text;
	char *at;

	if (!is_compressed(body)) {
		ws_write_ends(message, &its, ends, out);
		return;
	}
	head_len = ws_head_len_in(frame_len);
	at = out + ws_write_head(out, WS_TEXT, true, frame_len - head_len);
	text = begin_text(ends.head);
	ws_put_head_text(&text, message);
	(void)ws_write_stored(at, (struct slice){text.out, text.len});
	at = out + ends.head + body->len;
	text = begin_text(ends.tail);
	ws_put_tail_text(&text, message, &its);
	at += ws_write_stored(at, (struct slice){text.out, text.len});
	(void)ws_deflate_end(at);
}
