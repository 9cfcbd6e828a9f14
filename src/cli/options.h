#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/*
 * Table of options: a row defines how an option is written, which values are allowed and where the
 * value is stored. Parsing and --help both use the rows, so they always agree.
 */
enum option_kind {
	OPTION_FLAG,    /* bool */
	OPTION_TEXT,    /* const char *, borrowed from argv */
	OPTION_NUMBER,  /* uint64_t, min to max */
	OPTION_REAL,    /* double, above 0, at most max */
	OPTION_SECONDS, /* uint64_t in microseconds; given in seconds, above 0, at most max */
};

struct option_row {
	const char *name; /* the long form, without dashes; NULL ends the table */
	char letter;      /* the short form, or 0 */
	enum option_kind kind;
	const char *value; /* name of the value in --help; NULL for a flag */
	size_t offset;     /* of the value in the options struct */
	uint64_t min;
	uint64_t max;
	const char *text;
};

struct option_set {
	const struct option_row *rows;
	void *values; /* the options struct; other members are not changed */
};

#define OPTIONS_MAX_ROWS 64 /* in all sets of one call */

/*
 * Reads the options of argv[1] onwards. Options and operands may be mixed, unless stop_at_operand;
 * "--" ends the options. Returns the index of the first operand (argv is reordered so that all
 * operands come last), or -1 with a text appended to error.
 */
int options_parse(int argc, char **argv, const struct option_set sets[], size_t set_count,
    bool stop_at_operand, struct buffer *error);

/* Appends a line for each row. */
void options_describe(const struct option_row *rows, struct buffer *out);

#endif
