#include "config.h"

#include "http/ws_protocol.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "json/utf8.h"

/*
 * The WebSocket protocol must give the same requests however its bytes are cut. The first bytes of
 * the input choose the table, the limits and the cuts; the rest is fed once whole and once in
 * pieces.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { HEAD_BYTES = 4, DEFLATES = 1, SMALL = 2, TINY = 4, UNAUTHENTICATED = 8, GIVES = 16 };

static size_t
next_piece(uint32_t *state, size_t most)
{
	*state = *state * 1664525 + 1013904223;
	return 1 + (*state >> 16) % most;
}

static void
note_request(const struct protocol_request *request, const struct protocol_limits *limits,
    struct buffer *heard)
{
	struct slice payload = request->args[1];

	assert(request->count == 2 && request->args[0].len == 1);
	switch (request->args[0].ptr[0]) {
	case 't':
		assert(json_is_utf8(payload) && payload.len <= limits->arg_bytes);
		break;
	case 'b':
		assert(payload.len <= limits->arg_bytes);
		break;
	case 'i':
	case 'o':
		assert(payload.len <= 125);
		break;
	default:
		assert(request->args[0].ptr[0] == 'c' && payload.len != 1 && payload.len <= 125);
	}
	buffer_append_slice(heard, request->args[0]);
	buffer_appendf(heard, "%zu\n", payload.len);
	buffer_append_slice(heard, payload);
}

/* Feeds one piece out of memory that is freed afterwards; false at an error. */
static bool
feed_piece(const struct protocol *protocol, void *state, const uint8_t *head, struct slice bytes,
    const struct protocol_limits *limits, struct buffer *heard)
{
	char *piece = xmemdup(bytes.ptr, bytes.len);
	struct arena given = {0};
	size_t done = 0, taken;
	struct protocol_request request;
	enum protocol_status status;

	do {
		status = protocol->feed(state, piece + done, bytes.len - done,
		    head[0] & UNAUTHENTICATED, &taken, &request);
		assert(taken <= bytes.len - done);
		done += taken;
		if (status != PROTOCOL_REQUEST)
			continue;
		note_request(&request, limits, heard);
		if (head[0] & GIVES)
			protocol->give_arena(state, &given);
	} while (status == PROTOCOL_REQUEST);
	assert(status == PROTOCOL_ERROR || done == bytes.len);
	arena_release(&given);
	xfree(piece);
	return status == PROTOCOL_MORE;
}

/* In pieces of at most `most` bytes; 0: in one. */
static void
feed(const uint8_t *head, struct slice s, size_t most, struct buffer *heard)
{
	const struct protocol *protocol = head[0] & DEFLATES ? &ws_deflate_protocol : &ws_protocol;
	struct protocol_limits limits = {
	    .arg_bytes = head[0] & TINY    ? 20
			 : head[0] & SMALL ? 300
					   : 1 << 16,
	    .arg_count = 2,
	    .line_bytes = 32,
	    .request_bytes = 1 << 18,
	};
	void *state = protocol->open(&limits);
	uint32_t cut = head[2] | (uint32_t)head[3] << 8;
	bool is_good = true, is_idle = true;

	for (size_t at = 0, len; at < s.len && is_good; at += len) {
		len = most > 0 ? next_piece(&cut, most) : s.len;
		if (len > s.len - at)
			len = s.len - at;
		is_good = feed_piece(
		    protocol, state, head, (struct slice){s.ptr + at, len}, &limits, heard);
		is_idle = protocol->settle(state);
		assert(!is_idle || protocol->held_bytes(state) == 0);
		/* Twice what arrived and a first chunk; an inflater stays if no request is
		 * incomplete. */
		assert(protocol->room_bytes(state) <= (is_idle ? 65536 : 2 * (at + len) + 1024));
	}
	buffer_append_str(heard, !is_good ? protocol->error(state) : is_idle ? "idle" : "more");
	protocol->close(state);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buffer whole = {0}, pieces = {0};
	struct slice s;

	if (len <= HEAD_BYTES)
		return 0;
	s = (struct slice){(const char *)data + HEAD_BYTES, len - HEAD_BYTES};
	feed(data, s, (size_t)data[1] % 64 + 1, &pieces);
	feed(data, s, 0, &whole);
	assert(slice_eq(buffer_slice(&whole), buffer_slice(&pieces)));
	buffer_release(&whole);
	buffer_release(&pieces);
	return 0;
}
