#include "config.h"

#include "edge/payload.h"

#include <stdint.h>
#include <string.h>

#include "pubsub/wire_form.h"
#include "json/reader.h"
#include "json/utf8.h"
#include "json/writer.h"

/* The message that was looked at last, and what was found. */
static struct {
	uint64_t serial;
	size_t len;
	struct payload_json found;
} last;

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* Not 0 if a byte of the word is 0. */
static uint64_t
zeros(uint64_t word)
{
	return (word - EACH_BYTE(1)) & ~word & EACH_BYTE(0x80);
}

size_t
payload_line_len(struct slice s)
{
	size_t at = 0;

	while (s.len - at >= sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, s.ptr + at, sizeof(word));
		if ((zeros(word ^ EACH_BYTE('\n')) | zeros(word ^ EACH_BYTE('\r'))) != 0)
			break;
		at += sizeof(word);
	}
	while (at < s.len && s.ptr[at] != '\n' && s.ptr[at] != '\r')
		at++;
	return at;
}

static struct payload_json
look(struct slice payload)
{
	struct json_value value;

	if (json_parse(payload, &value))
		return (struct payload_json){
		    payload_line_len(payload) == payload.len ? PAYLOAD_JSON : PAYLOAD_JSON_LINES,
		    payload.len};
	if (json_is_utf8(payload))
		return (struct payload_json){PAYLOAD_TEXT, json_string_len(payload)};
	return (struct payload_json){PAYLOAD_BINARY, json_base64_len(payload.len)};
}

struct payload_json
payload_look(const struct hub_message *message)
{
	if (message->serial == 0)
		return look(message->payload);
	if (last.serial != message->serial || last.len != message->payload.len) {
		last.found = look(message->payload);
		last.serial = message->serial;
		last.len = message->payload.len;
	}
	return last.found;
}

static void
write_without_breaks(struct slice s, char *out)
{
	for (size_t i = 0; i < s.len; i++)
		out[i] = s.ptr[i] == '\n' || s.ptr[i] == '\r' ? ' ' : s.ptr[i];
}

void
payload_write(const struct hub_message *message, enum payload_kind kind, char *out)
{
	struct slice payload = message->payload;

	switch (kind) {
	case PAYLOAD_JSON:
		memcpy(out, payload.ptr, payload.len);
		return;
	case PAYLOAD_JSON_LINES:
		write_without_breaks(payload, out);
		return;
	case PAYLOAD_TEXT:
		json_write_string(out, payload);
		return;
	case PAYLOAD_BINARY:
		json_write_base64(out, payload);
		return;
	}
}
