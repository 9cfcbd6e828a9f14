#ifndef RDB_COMMAND_H
#define RDB_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "rdb/event.h"

/* A command that creates a part of what an RDB file has. */
enum rdb_part {
	RDB_PART_DATABASE,   /* SELECT */
	RDB_PART_KEY,        /* of the value of a key, or its expiry time */
	RDB_PART_FIELD_TIME, /* the expiry time of a field */
	RDB_PART_FUNCTIONS,  /* a library of functions */
};

struct rdb_command {
	const struct slice *argv; /* borrowed until the next call */
	size_t argc;
	enum rdb_part part;
	enum rdb_type type;
	bool begins_key; /* the key's commands are those up to the next that begins a key, or is
			    not part of one */
};

#endif
