#ifndef HTTP_CHUNKS_H
#define HTTP_CHUNKS_H

#include <stddef.h>

#include "base/bytes.h"

/*
 * Decoder of the chunked transfer coding (RFC 9112 7.1), up to the line of the last chunk; the
 * trailers are left to the caller. It takes the bytes in any pieces and holds none of them.
 *
 * Chunk extensions are ignored. What the peer may send beside the body is bounded: each chunk pays
 * for 16 bytes of its lines and twice its length, and what goes beyond adds up to the limit. So
 * bodies in small chunks are accepted, and extensions that only keep the server busy are not. A
 * zeroed struct is the initial state.
 */
struct http_chunks {
	size_t total; /* bytes of the body so far, with those of the chunk that has begun */
	size_t left;  /* bytes missing of this chunk */
	size_t line_len;
	size_t excess;
	unsigned char state;
};

struct http_chunk_limits {
	size_t body_bytes;
	size_t excess_bytes;
};

enum http_chunks_result {
	HTTP_CHUNKS_MORE, /* all bytes were taken */
	HTTP_CHUNKS_DATA, /* *data is a part of the body, not empty, a slice of the bytes */
	HTTP_CHUNKS_END,  /* the line of the last chunk was taken */
	HTTP_CHUNKS_INVALID,
	HTTP_CHUNKS_LARGE, /* the body would exceed the limit */
	HTTP_CHUNKS_EXCESS /* chunk extensions are too long */
};

/* Takes bytes from *in. After HTTP_CHUNKS_END and the errors it must not be called again. */
enum http_chunks_result http_chunks_next(struct http_chunks *chunks,
    const struct http_chunk_limits *limits, struct slice *in, struct slice *data)
    __attribute__((warn_unused_result));

#endif
