#include "config.h"

#include "resp/parser.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/buffer.h"

/*
 * The parser must hear the same requests whatever the pieces. The first bytes of the input say how
 * the rest is cut and what the limits are; it is fed once whole and once in pieces.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { HEAD_BYTES = 4 };

/* How the cuts are made: a little generator, so that few bytes of input make many lengths. */
static size_t
next_piece(uint32_t *state, size_t most)
{
	*state = *state * 1664525 + 1013904223;
	return 1 + (*state >> 16) % most;
}

static void
note_request(const struct protocol_request *request, struct buffer *heard)
{
	size_t i;

	assert(request->count > 0);
	buffer_appendf(heard, "*%zu\n", request->count);
	for (i = 0; i < request->count; i++) {
		buffer_appendf(heard, "$%zu\n", request->args[i].len);
		buffer_append_slice(heard, request->args[i]);
	}
}

/* Feeds one piece out of memory that is freed afterwards; false at an error. */
static bool
feed_piece(struct resp_parser *parser, const char *ptr, size_t len, bool unauthenticated,
    struct buffer *heard)
{
	char *piece = xmemdup(ptr, len);
	size_t done = 0, taken;
	struct protocol_request request;
	enum protocol_status status;

	do {
		status = resp_parser_feed(
		    parser, piece + done, len - done, unauthenticated, &taken, &request);
		assert(taken <= len - done);
		done += taken;
		if (status == PROTOCOL_REQUEST)
			note_request(&request, heard);
	} while (status == PROTOCOL_REQUEST);
	assert(status == PROTOCOL_ERROR || done == len);
	xfree(piece);
	return status == PROTOCOL_MORE;
}

/* In pieces of at most `most` bytes; 0: in one. */
static void
feed(const uint8_t *head, struct slice s, size_t most, struct buffer *heard)
{
	struct protocol_limits limits = {
	    .arg_bytes = head[0] & 1 ? 20 : 1 << 20,
	    .arg_count = head[0] & 2 ? 3 : 1 << 20,
	    .line_bytes = head[0] & 4 ? 32 : 65536,
	    .request_bytes = head[0] & 8 ? 100 : 1 << 20,
	};
	struct resp_parser *parser = resp_parser_new(&limits);
	uint32_t state = head[2] | (uint32_t)head[3] << 8;
	size_t at = 0;
	bool is_good = true;

	while (at < s.len && is_good) {
		size_t len = most > 0 ? next_piece(&state, most) : s.len;

		if (len > s.len - at)
			len = s.len - at;
		is_good = feed_piece(parser, s.ptr + at, len, head[0] & 16, heard);
		at += len;
		/* Twice what arrived, a slice for each argument, and a first chunk. */
		assert(resp_parser_room_bytes(parser) <= 40 * at + 1024);
		if (head[0] & 32)
			resp_parser_reset(parser);
	}
	if (is_good)
		buffer_append_str(heard, resp_parser_is_idle(parser) ? "idle" : "more");
	else
		buffer_append_str(heard, resp_parser_error(parser));
	resp_parser_free(parser);
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
