#ifndef APP_CONFIG_FILE_H
#define APP_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Reader of configuration files, in the language of redis.conf: a directive and its values on a
 * line, words in single or double quotes where needed, comments on lines of their own, `include`.
 * It knows no other directive.
 */
struct config_words {
	struct slice *words; /* owned; slices of bytes */
	size_t count;
	size_t room;
	struct buffer bytes;
};

/*
 * Splits a line as Redis does: in double quotes \n \r \t \b \a \xHH and \ before any other byte, in
 * single quotes \' only; a closing quote ends the word. words is zeroed or was used before. False:
 * a quote is not closed, or is closed in the middle of a word.
 */
bool config_split(struct slice line, struct config_words *words)
    __attribute__((warn_unused_result));
void config_words_release(struct config_words *words);

/* The line without blanks around it; empty for a comment. */
struct slice config_trim(struct slice line);

/* Removes the next line from the front of rest and returns it without \n; false at the end. */
bool config_next_line(struct slice *rest, struct slice *line) __attribute__((warn_unused_result));

/* One directive. False: error says what is wrong, without file and line. Everything is borrowed for
 * the call. */
typedef bool (*config_visit)(
    void *arg, struct slice name, const struct slice *values, size_t count, struct buffer *error);

enum config_include {
	CONFIG_NO_INCLUDE, /* an include is an error */
	CONFIG_INCLUDE, /* relative to the file that contains it; a glob is all files it matches */
};

#define CONFIG_MISTAKES_MAX 50

/* Calls visit for each directive in order until one is refused. False: error has "path:line: what
 * is wrong". */
bool config_read_bytes(struct slice bytes, const char *path, enum config_include include,
    config_visit visit, void *arg, struct buffer *error) __attribute__((warn_unused_result));

/* The same for a file, but goes on behind a mistake: error has a line for each of the first
 * CONFIG_MISTAKES_MAX, with newlines between them. */
bool config_read_file(const char *path, config_visit visit, void *arg, struct buffer *error)
    __attribute__((warn_unused_result));

/* Appends a line to the list of mistakes, behind those before. */
void config_add_mistake(struct slice text, struct buffer *error);

/* Appends the whole file; false with errno (EFBIG: larger than the limit for a configuration). */
bool config_slurp(const char *path, struct buffer *out) __attribute__((warn_unused_result));

#endif
