#include "config.h"

#include "http/testing_ws.h"

#include <check.h>

#include "base/alloc.h"

enum { MASKED = 0x80, LEN_16 = 126, LEN_64 = 127 };

static void
put_byte(struct buffer *out, unsigned byte)
{
	char c = (char)byte;

	buffer_append(out, &c, 1);
}

void
testing_ws_frame(struct buffer *out, unsigned first, struct slice payload)
{
	static const unsigned char mask[4] = {0xA1, 0x02, 0x7F, 0xF3};
	int len_bytes = payload.len < LEN_16 ? 0 : payload.len <= 0xFFFF ? 2 : 8;

	put_byte(out, first);
	put_byte(out, MASKED | (len_bytes == 0      ? (unsigned)payload.len
				   : len_bytes == 2 ? LEN_16
						    : LEN_64));
	for (int i = len_bytes - 1; i >= 0; i--)
		put_byte(out, (unsigned)(payload.len >> (8 * i)) & 0xFF);
	buffer_append(out, mask, sizeof(mask));
	for (size_t i = 0; i < payload.len; i++)
		put_byte(out, (unsigned char)payload.ptr[i] ^ mask[i % sizeof(mask)]);
}

/* False at an error. */
static bool
feed_piece(const struct protocol *protocol, void *state, struct slice bytes, struct buffer *heard)
{
	char *piece = xmemdup(bytes.ptr, bytes.len);
	struct protocol_request request;
	enum protocol_status status = PROTOCOL_MORE;
	size_t at = 0, taken;

	while (at < bytes.len && status != PROTOCOL_ERROR) {
		status = protocol->feed(state, piece + at, bytes.len - at, false, &taken, &request);
		at += taken;
		if (status != PROTOCOL_REQUEST)
			continue;
		ck_assert_uint_eq(request.count, 2);
		ck_assert(!request.ends_batch);
		buffer_append_slice(heard, request.args[0]);
		buffer_append_str(heard, ":");
		buffer_append_slice(heard, request.args[1]);
		buffer_append_str(heard, ";");
	}
	if (status != PROTOCOL_ERROR)
		ck_assert_uint_eq(at, bytes.len);
	xfree(piece);
	return status != PROTOCOL_ERROR;
}

void
testing_ws_feed(const struct protocol *protocol, const struct protocol_limits *limits,
    struct slice bytes, size_t piece_len, struct buffer *heard)
{
	void *state = protocol->open(limits);
	bool is_valid = true, is_idle = true;

	for (size_t at = 0, len; at < bytes.len && is_valid; at += len) {
		len = piece_len > 0 && piece_len < bytes.len - at ? piece_len : bytes.len - at;
		is_valid = feed_piece(protocol, state, (struct slice){bytes.ptr + at, len}, heard);
		is_idle = protocol->settle(state);
		ck_assert_uint_eq(protocol->held_bytes(state) > 0 && is_idle, 0);
		if (is_idle)
			ck_assert_uint_le(protocol->room_bytes(state), 64 << 10);
	}
	if (!is_valid) {
		ck_assert(!is_idle);
		buffer_append_str(heard, "!");
		buffer_append_str(heard, protocol->error(state));
	} else if (!is_idle) {
		buffer_append_str(heard, "+");
	}
	protocol->close(state);
}
