#ifndef PUBSUB_CHANNEL_LINES_H
#define PUBSUB_CHANNEL_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "pubsub/channel_options.h"

/*
 * Lines of channel options: `channel GLOB option value ...`, in the order of the configuration
 * file. Each glob has one line at most. All lines that match a channel apply to it; where they set
 * the same option, the last one counts. This module is the list only: channel_classes.h finds the
 * lines that match. It knows neither files nor commands.
 */
#define CHANNEL_LINES_MAX 65536
#define CHANNEL_GLOB_MAX 4096 /* bytes of a glob */

struct channel_line {
	TAILQ_ENTRY(channel_line) link;
	struct slice glob;
	uint32_t set;                  /* the options that it sets: bits, see CHANNEL_BIT() */
	uint32_t slot;                 /* see channel_lines_at() */
	uint64_t order;                /* a later line has a greater one */
	struct channel_options values; /* the options that are in `set`; others: the defaults */
};

struct channel_lines;

enum channel_fault {
	CHANNEL_OK,
	CHANNEL_BAD_GLOB,         /* empty or too long */
	CHANNEL_NO_OPTION,        /* a line needs one at least */
	CHANNEL_UNKNOWN_OPTION,   /* `word` */
	CHANNEL_MISSING_VALUE,    /* of option `word` */
	CHANNEL_BAD_VALUE,        /* `word`, of `option` */
	CHANNEL_REPEATED_OPTION,  /* `word` */
	CHANNEL_SIZE_WITHOUT_TTL, /* history-size above 0, history-ttl 0, both in the line of glob
				     `word`; or as in channel_cover.h */
	CHANNEL_REPEATED_GLOB,    /* channel_lines_add: there is a line with this glob */
	CHANNEL_UNKNOWN_GLOB,     /* channel_lines_unset: there is no line with this glob */
	CHANNEL_NOT_SET,          /* channel_lines_unset: the line does not set option `word` */
	CHANNEL_TOO_MANY_LINES,
};

/* What is wrong with a line. word borrows from the arguments. */
struct channel_error {
	enum channel_fault fault;
	struct slice word;
	size_t option; /* CHANNEL_BAD_VALUE: its index */
};

/* Appends what is wrong and what is allowed, without a full stop: for an error reply behind "ERR ",
 * for a file behind "FILE:LINE: ". Foreign bytes are escaped. */
void channel_error_write(const struct channel_error *error, struct buffer *out);

struct channel_lines *channel_lines_new(void); /* returns owned (channel_lines_free) */
struct channel_lines *channel_lines_copy(const struct channel_lines *lines); /* returns owned */
void channel_lines_free(struct channel_lines *lines);

size_t channel_lines_count(const struct channel_lines *lines);
size_t channel_lines_bytes(const struct channel_lines *lines); /* memory held, estimated */

/* In order; NULL at the end. */
const struct channel_line *channel_lines_first(const struct channel_lines *lines);
const struct channel_line *channel_lines_next(const struct channel_line *line);

/* NULL if there is none. */
const struct channel_line *channel_lines_find(const struct channel_lines *lines, struct slice glob);

/* The line with this slot: a number that each line keeps, below CHANNEL_LINES_MAX. */
const struct channel_line *channel_lines_at(const struct channel_lines *lines, uint32_t slot);

/*
 * words are pairs of an option and its value. channel_lines_add() appends a line, as the directive
 * does. channel_lines_set() changes the line of this glob, which keeps its place and its other
 * options, or appends one. False: `error` says why, and nothing was changed. Copies. *line is the
 * line, valid until it is removed; NULL is allowed.
 */
bool channel_lines_add(struct channel_lines *lines, struct slice glob, const struct slice *words,
    size_t count, const struct channel_line **line, struct channel_error *error)
    __attribute__((warn_unused_result));
bool channel_lines_set(struct channel_lines *lines, struct slice glob, const struct slice *words,
    size_t count, const struct channel_line **line, struct channel_error *error)
    __attribute__((warn_unused_result));

/* Removes options from the line; count 0: all of them. A line without options is removed. False:
 * `error` says why, and nothing was changed. */
bool channel_lines_unset(struct channel_lines *lines, struct slice glob, const struct slice *names,
    size_t count, struct channel_error *error) __attribute__((warn_unused_result));

/* The options that any line sets: bits, see CHANNEL_BIT(). */
uint32_t channel_lines_options(const struct channel_lines *lines);

/* Whether both have the same lines in the same order. */
bool channel_lines_equal(const struct channel_lines *a, const struct channel_lines *b);

#endif
