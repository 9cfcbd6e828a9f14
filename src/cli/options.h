#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/*
 * Options by table: a row says how an option is written, what its value may be and where it goes.
 * From the rows come both the parsing and the text of --help, so that the two cannot differ.
 */
enum option_kind {
	OPTION_FLAG,    /* bool */
	OPTION_TEXT,    /* const char *, borrowed from argv */
	OPTION_NUMBER,  /* uint64_t, min to max */
	OPTION_REAL,    /* double, more than 0, at most max */
	OPTION_SECONDS, /* uint64_t in microseconds; written in seconds, more than 0, at most max */
};

struct option_row {
	const char *name; /* the long form, without dashes; NULL ends the table */
	char letter;      /* the short form, or 0 */
	enum option_kind kind;
	const char *value; /* what --help calls it; NULL for a flag */
	size_t offset;     /* of the value in the struct that is filled in */
	uint64_t min;
	uint64_t max;
	const char *text;
};

struct option_set {
	const struct option_row *rows;
	void *values; /* the struct; what no option names stays as it is */
};

#define OPTIONS_MAX_ROWS 64 /* of all sets of one call together */

/*
 * Reads the options of argv[1] onwards. Options and operands may be mixed, unless stop_at_operand;
 * "--" ends the options. Returns the index of the first operand (argv is then sorted so that all
 * operands come last), or -1 with a text appended to error.
 */
int options_parse(int argc, char **argv, const struct option_set sets[], size_t set_count,
    bool stop_at_operand, struct buffer *error);

/* A line for each row. */
void options_describe(const struct option_row *rows, struct buffer *out);

#endif
