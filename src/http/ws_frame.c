#include "config.h"

#include "http/ws_frame.h"

#include <assert.h>
#include <stdint.h>

enum { FIN = 0x80, RSV1 = 0x40, LEN_16 = 126, LEN_64 = 127 };

size_t
ws_head_len(size_t len)
{
	return len < LEN_16 ? 2 : len <= UINT16_MAX ? 4 : 10;
}

size_t
ws_write_head(char *out, enum ws_opcode opcode, bool is_compressed, size_t len)
{
	size_t head_len = ws_head_len(len);
	uint64_t rest = len;

	out[0] = (char)(FIN | (is_compressed ? RSV1 : 0) | (unsigned)opcode);
	if (head_len == 2) {
		out[1] = (char)len;
		return head_len;
	}
	out[1] = head_len == 4 ? LEN_16 : LEN_64;
	for (size_t i = head_len - 1; i >= 2; i--, rest >>= 8)
		out[i] = (char)(rest & 0xFF);
	return head_len;
}

void
ws_put_frame(struct buffer *out, enum ws_opcode opcode, struct slice payload)
{
	assert(opcode < WS_CLOSE || payload.len <= WS_CONTROL_MAX);
	out->len += ws_write_head(
	    buffer_reserve(out, ws_head_len(payload.len)), opcode, false, payload.len);
	buffer_append_slice(out, payload);
}

/* The length of the longest prefix of at most most_len bytes that ends between two characters. */
static size_t
cut_text(struct slice utf8, size_t most_len)
{
	size_t len = most_len;

	if (utf8.len <= most_len)
		return utf8.len;
	while (len > 0 && ((unsigned char)utf8.ptr[len] & 0xC0) == 0x80)
		len--;
	return len;
}

void
ws_put_close(struct buffer *out, unsigned code, struct slice reason)
{
	size_t reason_len = cut_text(reason, WS_REASON_MAX);
	char bytes[2] = {(char)(code >> 8), (char)(code & 0xFF)};

	if (code == 0) {
		ws_put_frame(out, WS_CLOSE, SLICE(""));
		return;
	}
	assert(code >= 1000 && code <= 4999);
	out->len += ws_write_head(buffer_reserve(out, ws_head_len(sizeof(bytes) + reason_len)),
	    WS_CLOSE, false, sizeof(bytes) + reason_len);
	buffer_append(out, bytes, sizeof(bytes));
	buffer_append(out, reason.ptr, reason_len);
}
