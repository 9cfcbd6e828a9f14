#include "config.h"

#include "http/ws_deflate.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"

enum {
	LEVEL = Z_BEST_SPEED,         /* the main loop compresses */
	RAW_WINDOW_BITS = -MAX_WBITS, /* negative: no zlib header */
	MEMORY_LEVEL = 8,
	STORED_HEAD = 5, /* bytes before each stored block: type, length and its complement */
	STORED_MAX = 65535,
	ROOM = 256, /* at least, for each call of deflate() */
};

struct ws_deflater {
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

struct ws_deflater *
ws_deflater_new(void)
{
	struct ws_deflater *deflater = xcalloc(1, sizeof(*deflater));

	deflater->stream.zalloc = allocate;
	deflater->stream.zfree = release;
	if (deflateInit2(&deflater->stream, LEVEL, Z_DEFLATED, RAW_WINDOW_BITS, MEMORY_LEVEL,
		Z_DEFAULT_STRATEGY) != Z_OK)
		assert(!"zlib refuses its own constants");
	return deflater;
}

void
ws_deflater_free(struct ws_deflater *deflater)
{
	if (deflater == NULL)
		return;
	(void)deflateEnd(&deflater->stream);
	xfree(deflater);
}

/* Compresses the stream's input. The last piece of a payload is flushed to a byte boundary. */
static void
run(z_stream *stream, int flush, struct buffer *out)
{
	int status;

	do {
		size_t bound = deflateBound(stream, stream->avail_in) + ROOM;
		size_t room = bound < UINT_MAX ? bound : UINT_MAX;

		stream->next_out = (Bytef *)buffer_reserve(out, room);
		stream->avail_out = (uInt)room;
		status = deflate(stream, flush);
		assert(status == Z_OK || status == Z_BUF_ERROR);
		out->len += room - stream->avail_out;
	} while (stream->avail_in > 0 || stream->avail_out == 0);
}

void
ws_deflate(struct ws_deflater *deflater, struct slice payload, struct buffer *out)
{
	z_stream *stream = &deflater->stream;

	if (deflateReset(stream) != Z_OK)
		assert(!"zlib refuses its own state");
	while (payload.len > 0) {
		size_t len = payload.len < UINT_MAX ? payload.len : UINT_MAX;

		/* zlib does not write to its input. */
		stream->next_in = (Bytef *)(uintptr_t)payload.ptr;
		stream->avail_in = (uInt)len;
		payload.ptr += len;
		payload.len -= len;
		run(stream, payload.len > 0 ? Z_NO_FLUSH : Z_SYNC_FLUSH, out);
	}
}

size_t
ws_stored_len(size_t len)
{
	return len + (len / STORED_MAX + (len % STORED_MAX > 0)) * STORED_HEAD;
}

size_t
ws_write_stored(char *out, struct slice text)
{
	char *to = out;

	while (text.len > 0) {
		size_t len = text.len < STORED_MAX ? text.len : STORED_MAX;

		to[0] = 0;
		to[1] = (char)(len & 0xFF);
		to[2] = (char)(len >> 8);
		to[3] = (char)~to[1];
		to[4] = (char)~to[2];
		memcpy(to + STORED_HEAD, text.ptr, len);
		to += STORED_HEAD + len;
		text.ptr += len;
		text.len -= len;
	}
	return (size_t)(to - out);
}

/* An empty stored block, of whose five bytes the last four are not sent (RFC 7692, 7.2.1). */
size_t
ws_deflate_end(char *out)
{
	out[0] = 0;
	return WS_DEFLATE_END_LEN;
}
