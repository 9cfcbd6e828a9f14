#ifndef CLI_POSITIONS_H
#define CLI_POSITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Positions: behind which message each channel of a subscription goes on, and the file that keeps
 * them between two runs of `fanfare sub --resume`.
 *
 * The file is text: the line "fanfare positions 1", and a line "EPOCH-SEQ NAME" for each channel or
 * pattern, whose name is escaped as by buffer_append_escaped(). It is replaced as a whole
 * (rename(2)), so it is complete whenever the process ends. A file that is not complete is an error
 * and not an empty one, because that would be silent loss.
 */
struct position {
	uint64_t epoch; /* 0: none yet */
	uint64_t seq;
};

struct positions;

/*
 * Reads the file, which need not exist. Borrows path and names; names of the file that are not
 * among these are forgotten. Returns owned (positions_free), or NULL with a text in error.
 */
struct positions *positions_open(
    const char *path, char **names, size_t count, struct buffer *error);
void positions_free(struct positions *p);

/* "EPOCH-SEQ", exactly. */
bool positions_parse(struct slice text, struct position *position)
    __attribute__((warn_unused_result));

bool positions_has(const struct positions *p, size_t index);

/* Appends the position of the channel with this index, as an argument of RESUME or PRESUME:
 * EPOCH-SEQ, or "$" if it has none. */
void positions_put_since(const struct positions *p, size_t index, struct buffer *out);

/* The channel goes on behind this position. epoch 0: it has none any more. */
void positions_set(struct positions *p, size_t index, struct position position);

/* A message with this position was printed: all channels are up to date until there. */
void positions_seen(struct positions *p, struct position position);

/* Writes the file if a position has changed. False with a text in error. */
bool positions_save(struct positions *p, struct buffer *error) __attribute__((warn_unused_result));

#endif
