#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Splits a stream of bytes into lines. Only '\n' ends a line; all other bytes, including NUL and
 * '\r', belong to it. Each byte is scanned once, however the stream is divided into reads.
 */
struct lines {
	struct buffer bytes;
	size_t start;   /* of the next line */
	size_t scanned; /* no '\n' between start and here */
	size_t max_bytes;
	bool ended;
};

enum lines_status {
	LINES_LINE,
	LINES_MORE, /* more bytes are needed */
	LINES_END,  /* end of the stream, after the last line */
	LINES_LONG, /* the next line is longer than max_bytes */
};

void lines_init(struct lines *l, size_t max_bytes);
void lines_release(struct lines *l);

/* Returns space for len bytes; then call lines_fed() with the number read. */
char *lines_room(struct lines *l, size_t len);
void lines_fed(struct lines *l, size_t len);

/* End of the stream; bytes after the last '\n', if any, are the last line. */
void lines_end(struct lines *l);

/* Sets *line for LINES_LINE only; it is valid until the next lines_room(). */
enum lines_status lines_next(struct lines *l, struct slice *line);

#endif
