#ifndef RDB_TESTING_RDB_H
#define RDB_TESTING_RDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "rdb/commands.h"

/*
 * For tests: RDB files made piece by piece, and what is read from one, as text.
 */
struct testing_element {
	const char *text; /* NULL: a number */
	int64_t number;
};

void testing_rdb_begin(struct buffer *file, unsigned int version);
void testing_rdb_byte(struct buffer *file, unsigned int byte);
void testing_rdb_length(struct buffer *file, uint64_t len);
void testing_rdb_bytes(struct buffer *file, uint64_t bits, size_t count); /* the lowest first */
void testing_rdb_string(struct buffer *file, const char *text);
void testing_rdb_blob(struct buffer *file, const struct buffer *blob); /* as a string */
void testing_rdb_key(struct buffer *file, unsigned int type, const char *name);
/* The end mark, and the checksum from version 5 on. */
void testing_rdb_end(struct buffer *file, unsigned int version);

/* Packed strings; they are cleared first. Elements are `count` words, numbers if they look so. */
void testing_listpack(struct buffer *out, const char *const *words, size_t count);
void testing_ziplist(struct buffer *out, const char *const *words, size_t count);
void testing_intset(struct buffer *out, size_t width, const int64_t *numbers, size_t count);

/* A file with a key of each type and encoding, up to that version. */
void testing_rdb_sample(struct buffer *file, unsigned int version);

struct testing_rdb_run {
	size_t piece;      /* bytes a read; 0: all */
	size_t fail_after; /* the read after this number of reads fails; 0: none */
	int64_t now_ms;
	bool keeps_expired, replaces;
};

/*
 * The commands of a file, one a line with blanks between its arguments, and how it ended: "END", or
 * "BAD <offset> <reason>". Returns owned (xfree).
 */
char *testing_rdb_read(struct slice file, const struct testing_rdb_run *run);

#endif
