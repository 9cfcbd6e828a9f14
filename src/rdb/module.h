#ifndef RDB_MODULE_H
#define RDB_MODULE_H

#include <stdbool.h>

#include "base/buffer.h"

/* What modules wrote: it can be skipped without knowing the module. */
struct rdb_input;

/* The name of the module's type, of 9 characters. */
bool rdb_module_name(struct rdb_input *in, struct buffer *name) __attribute__((warn_unused_result));
/* The value, up to its end mark. */
bool rdb_module_skip(struct rdb_input *in) __attribute__((warn_unused_result));
/* The data that belong to no key. */
bool rdb_module_aux(struct rdb_input *in, struct buffer *name) __attribute__((warn_unused_result));

#endif
