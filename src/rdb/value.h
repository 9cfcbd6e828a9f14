#ifndef RDB_VALUE_H
#define RDB_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "rdb/event.h"
#include "rdb/packed.h"
#include "rdb/stream.h"

/*
 * The value of a key: its elements, one a call, whatever the encoding. Only rdb/reader.c uses it.
 */
struct rdb_input;
struct rdb_encoding;

enum rdb_value_state {
	RDB_VALUE_PLAIN,  /* elements one after the other */
	RDB_VALUE_NODES,  /* packed nodes one after the other */
	RDB_VALUE_PACKED, /* in a packed node */
	RDB_VALUE_STREAM,
	RDB_VALUE_END,
};

struct rdb_value {
	const struct rdb_encoding *encoding;
	enum rdb_value_state state;
	uint64_t left;               /* elements or nodes that follow */
	uint64_t least_ms;           /* the fields' times are relative to it */
	uint64_t node_offset;        /* of the packed node in the file */
	struct buffer first, second; /* first: also the packed node */
	struct rdb_packed packed;
	struct rdb_element elements[3];
	struct rdb_stream stream;
};

enum rdb_value_result { RDB_VALUE_EVENT, RDB_VALUE_DONE, RDB_VALUE_BAD };

/* Begins a value with the type byte of the file. *type is what it is. module gets the name of a
 * module. */
bool rdb_value_begin(struct rdb_value *value, struct rdb_input *in, unsigned char byte,
    enum rdb_type *type, struct buffer *module) __attribute__((warn_unused_result));
enum rdb_value_result rdb_value_next(
    struct rdb_value *value, struct rdb_input *in, struct rdb_event *event);
void rdb_value_release(struct rdb_value *value);

#endif
