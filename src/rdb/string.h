#ifndef RDB_STRING_H
#define RDB_STRING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * The lengths, numbers and strings of an RDB file. A string is plain, a number of 1, 2 or 4 bytes,
 * or compressed by LZF. All functions return false after a fault of the input.
 */
struct rdb_input;

/* The longest string, as proto-max-bulk-len of Redis allows by default. */
#define RDB_STRING_MAX (UINT64_C(512) << 20)

bool rdb_length(struct rdb_input *in, uint64_t *len) __attribute__((warn_unused_result));

/* Replaces out with the string. Numbers become text. */
bool rdb_string(struct rdb_input *in, struct buffer *out) __attribute__((warn_unused_result));
bool rdb_skip_string(struct rdb_input *in) __attribute__((warn_unused_result));

bool rdb_u64(struct rdb_input *in, uint64_t *value) __attribute__((warn_unused_result));
bool rdb_u32(struct rdb_input *in, uint32_t *value) __attribute__((warn_unused_result));

/* Scores of type 3 are text behind a length of one byte, of type 5 eight bytes. Appends text that
 * ZADD takes. */
bool rdb_score_text(struct rdb_input *in, struct buffer *out) __attribute__((warn_unused_result));
bool rdb_score_binary(struct rdb_input *in, struct buffer *out) __attribute__((warn_unused_result));

#endif
