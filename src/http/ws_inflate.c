#include "config.h"

#include "http/ws_inflate.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <zlib.h>

#include "base/alloc.h"

enum {
	PIECE_BYTES = 8192,
	RAW_WINDOW_BITS = -MAX_WBITS, /* negative: no zlib header */
	BETWEEN_BLOCKS = 128,         /* in data_type, after inflate() */
};

struct ws_inflater {
	z_stream stream;
};

static void *
allocate(void *opaque, uInt count, uInt len)
{
	(void)opaque;
	return xcalloc(count, len);
}

static void
release(void *opaque, void *ptr)
{
	(void)opaque;
	xfree(ptr);
}

struct ws_inflater *
ws_inflater_new(void)
{
	struct ws_inflater *inflater = xcalloc(1, sizeof(*inflater));

	inflater->stream.zalloc = allocate;
	inflater->stream.zfree = release;
	if (inflateInit2(&inflater->stream, RAW_WINDOW_BITS) != Z_OK)
		assert(!"zlib refuses its own constants");
	return inflater;
}

void
ws_inflater_free(struct ws_inflater *inflater)
{
	if (inflater == NULL)
		return;
	(void)inflateEnd(&inflater->stream);
	xfree(inflater);
}

/* Inflates until zlib needs more input. */
static enum ws_inflate_result
run(z_stream *stream, size_t most_len, struct arena *out)
{
	Bytef piece[PIECE_BYTES];
	int status;

	do {
		size_t len;

		stream->next_out = piece;
		stream->avail_out = sizeof(piece);
		status = inflate(stream, Z_NO_FLUSH);
		if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
			return WS_INFLATE_INVALID;
		len = sizeof(piece) - stream->avail_out;
		if (len > most_len - out->open_len)
			return WS_INFLATE_TOO_LARGE;
		arena_append(out, (const char *)piece, len, most_len);
		/* A block may say that it is the last one; more may follow (section 7.2.3.4). */
		if (status == Z_STREAM_END) {
			if (inflateReset(stream) != Z_OK)
				return WS_INFLATE_INVALID;
			stream->data_type |= BETWEEN_BLOCKS;
		}
	} while (stream->avail_in > 0 || stream->avail_out == 0);
	return WS_INFLATE_DONE;
}

static enum ws_inflate_result
feed(z_stream *stream, struct slice bytes, size_t most_len, struct arena *out)
{
	enum ws_inflate_result result = WS_INFLATE_DONE;

	while (bytes.len > 0 && result == WS_INFLATE_DONE) {
		size_t len = bytes.len < UINT_MAX ? bytes.len : UINT_MAX;

		/* zlib does not write to its input. */
		stream->next_in = (Bytef *)(uintptr_t)bytes.ptr;
		stream->avail_in = (uInt)len;
		result = run(stream, most_len, out);
		bytes.ptr += len;
		bytes.len -= len;
	}
	return result;
}

enum ws_inflate_result
ws_inflate(struct ws_inflater *inflater, struct slice message, size_t most_len, struct arena *out)
{
	static const struct slice tail = {"\0\0\xff\xff", 4};
	z_stream *stream = &inflater->stream;
	enum ws_inflate_result result;

	/* Section 7.2.3.6 wants one byte here, but its meaning is clear. */
	if (message.len == 0)
		return WS_INFLATE_DONE;
	if (inflateReset(stream) != Z_OK)
		return WS_INFLATE_INVALID;
	result = feed(stream, message, most_len, out);
	if (result == WS_INFLATE_DONE)
		result = feed(stream, tail, most_len, out);
	if (result == WS_INFLATE_DONE && (stream->data_type & BETWEEN_BLOCKS) == 0)
		result = WS_INFLATE_INVALID;
	return result;
}
