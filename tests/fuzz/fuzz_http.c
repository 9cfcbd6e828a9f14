#include "config.h"

#include "http/protocol.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "http/headers.h"

/*
 * The protocol must hear the same requests whatever the pieces, and use no bytes of a piece later.
 * The first bytes of the input say how the rest is cut and what the limits are; it is fed once
 * whole and once in pieces.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { HEAD_BYTES = 4, IS_SETTLED = 16 };

/* How the cuts are made: a little generator, so that few bytes of input make many lengths. */
static size_t
next_piece(uint32_t *state, size_t most)
{
	*state = *state * 1664525 + 1013904223;
	return 1 + (*state >> 16) % most;
}

static bool
is_clean(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == '\r' || s.ptr[i] == '\n' || s.ptr[i] == '\0')
			return false;
	return true;
}

static void
check_headers(const struct protocol_request *request)
{
	struct slice value;
	size_t hosts = http_header(request->args, request->count, "Host", &value);

	assert(hosts == 1 || (hosts == 0 && slice_is(request->args[HTTP_VERSION], "1.0")));
	assert(http_header(request->args, request->count, "Content-Length", &value) +
		   http_header(request->args, request->count, "Transfer-Encoding", &value) <=
	       1);
	(void)http_is_persistent(request->args, request->count);
	(void)http_cookie(request->args, request->count, "a", &value);
	assert(value.len == 0 || is_clean(value));
}

/* What the request says that the client waits for depends on the pieces: it is not noted. */
static void
note_request(const struct protocol_request *request, struct buffer *heard)
{
	assert(request->ends_batch && request->count >= HTTP_FIELDS && request->count % 2 == 0);
	if (request->args[HTTP_METHOD].len == 0) {
		assert(request->count == HTTP_FIELDS);
		return;
	}
	buffer_appendf(heard, "*%zu\n", request->count);
	for (size_t i = 0; i < request->count; i++) {
		assert(i == HTTP_BODY || is_clean(request->args[i]));
		buffer_appendf(heard, "$%zu\n", request->args[i].len);
		buffer_append_slice(heard, request->args[i]);
	}
	check_headers(request);
}

/* Feeds one piece out of memory that is freed afterwards; false at an error. Whole input is used at
 * once, and requests in pieces are kept first. */
static bool
feed_piece(void *state, const char *ptr, size_t len, bool keep, struct buffer *heard)
{
	char *piece = xmemdup(ptr, len);
	size_t at = 0, taken;
	struct protocol_request request;
	enum protocol_status status;

	do {
		status = http_protocol.feed(state, piece + at, len - at, true, &taken, &request);
		assert(taken <= len - at);
		if (status == PROTOCOL_REQUEST && keep) {
			request = http_protocol.keep(state);
			memset(piece + at, 0, taken);
		}
		at += taken;
		if (status == PROTOCOL_REQUEST)
			note_request(&request, heard);
	} while (status == PROTOCOL_REQUEST);
	assert(status == PROTOCOL_ERROR || at == len);
	xfree(piece);
	return status == PROTOCOL_MORE;
}

/* In pieces of at most `most` bytes; 0: in one. */
static void
feed(const uint8_t *head, struct slice s, size_t most, struct buffer *heard)
{
	struct protocol_limits limits = {
	    .arg_bytes = head[0] & 1 ? 20 : 1 << 20,
	    .arg_count = head[0] & 2 ? 10 : 1 << 10,
	    .line_bytes = head[0] & 4 ? 64 : 16384,
	    .request_bytes = head[0] & 8 ? 300 : 1 << 21,
	};
	void *state = http_protocol.open(&limits);
	uint32_t cuts = head[2] | (uint32_t)head[3] << 8;
	size_t at = 0;
	bool is_good = true;

	while (at < s.len && is_good) {
		size_t len = most > 0 ? next_piece(&cuts, most) : s.len;

		if (len > s.len - at)
			len = s.len - at;
		is_good = feed_piece(state, s.ptr + at, len, most > 0, heard);
		at += len;
		/* A slice for each two bytes, doubled; copies of what arrived; first chunks. */
		assert(http_protocol.room_bytes(state) <= 40 * at + 2048);
		if (head[0] & IS_SETTLED)
			(void)http_protocol.settle(state);
	}
	if (is_good)
		buffer_append_str(heard, http_protocol.settle(state) ? "idle" : "more");
	else
		buffer_append_str(heard, http_protocol.error(state));
	http_protocol.close(state);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buffer whole = {0}, pieces = {0};
	struct slice s;

	if (len <= HEAD_BYTES)
		return 0;
	s = (struct slice){(const char *)data + HEAD_BYTES, len - HEAD_BYTES};
	(void)http_protocol.foreign(s.ptr, s.len);
	feed(data, s, (size_t)data[1] % 64 + 1, &pieces);
	feed(data, s, 0, &whole);
	assert(slice_eq(buffer_slice(&whole), buffer_slice(&pieces)));
	buffer_release(&whole);
	buffer_release(&pieces);
	return 0;
}
