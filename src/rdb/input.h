#ifndef RDB_INPUT_H
#define RDB_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "rdb/crc64.h"

/*
 * The bytes of a file, in pieces from a callback, with offset and checksum, and the first fault.
 *
 * Whoever parses takes bytes from the front. The first fault is kept, and every later call fails:
 * a parser only returns false, and its caller reads the fault. No memory is allocated by a length
 * that the file claims: room grows with the bytes that are there. It opens nothing.
 */

/* Reads up to len bytes to out; *got is 0 at the end. False with errno. */
typedef bool (*rdb_read)(void *arg, char *out, size_t len, size_t *got);

struct rdb_fault {
	uint64_t offset;    /* in the file */
	const char *reason; /* a literal; NULL: no fault */
	int error;          /* errno if a read failed, else 0 */
	bool is_end;        /* the file ends in the middle of something */
};

struct rdb_input {
	rdb_read read;
	void *arg;
	char *window;    /* owned */
	size_t at, len;  /* the bytes of the window that are not taken yet: [at, len) */
	uint64_t offset; /* of the window's first byte in the file */
	struct crc64 crc64;
	uint64_t crc;  /* of the bytes before summed */
	size_t summed; /* in the window */
	bool has_ended;
	struct rdb_fault fault;
};

/* Borrows arg. Release with rdb_input_release. */
void rdb_input_init(struct rdb_input *in, rdb_read read, void *arg);
void rdb_input_release(struct rdb_input *in);

/* The offset of the next byte. */
uint64_t rdb_input_offset(const struct rdb_input *in);

/* Records a fault, unless there is one already. Returns false. */
bool rdb_input_fail(struct rdb_input *in, uint64_t offset, const char *reason);

/* True if there is no further byte. A failed read is a fault, and the end. */
bool rdb_input_is_at_end(struct rdb_input *in);

/* The next byte, without taking it; -1: the end. */
int rdb_input_peek(struct rdb_input *in);

/* Takes exactly len bytes. */
bool rdb_input_take(struct rdb_input *in, void *out, size_t len)
    __attribute__((warn_unused_result));
bool rdb_input_append(struct rdb_input *in, struct buffer *out, uint64_t len)
    __attribute__((warn_unused_result));
bool rdb_input_skip(struct rdb_input *in, uint64_t len) __attribute__((warn_unused_result));

/* The checksum of all bytes taken so far. */
uint64_t rdb_input_checksum(struct rdb_input *in);

#endif
