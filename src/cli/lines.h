#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Splits a stream of bytes into lines. Only '\n' ends a line; every other byte, NUL and '\r'
 * included, belongs to it. No byte is looked at twice, however the stream comes in pieces.
 */
struct lines {
	struct buffer bytes;
	size_t start;   /* of the line that is next */
	size_t scanned; /* no '\n' between start and here */
	size_t max_bytes;
	bool ended;
};

enum lines_status {
	LINES_LINE,
	LINES_MORE, /* give more bytes */
	LINES_END,  /* the stream has ended and every line was given */
	LINES_LONG, /* the next line is longer than max_bytes */
};

void lines_init(struct lines *l, size_t max_bytes);
void lines_release(struct lines *l);

/* Room for len bytes to read into; then lines_fed() says how many came. */
char *lines_room(struct lines *l, size_t len);
void lines_fed(struct lines *l, size_t len);

/* No more bytes come; what stands after the last '\n', if anything, is a line too. */
void lines_end(struct lines *l);

/* *line borrows until the next lines_room(). It is set for LINES_LINE only. */
enum lines_status lines_next(struct lines *l, struct slice *line);

#endif
