#ifndef RDB_LZF_H
#define RDB_LZF_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Appends the expanded string, which has len bytes. NULL, or a literal with the reason why not; out
 * is unchanged then. A length that this many packed bytes cannot give is refused before memory is
 * allocated. Without liblzf (configure --without-lzf) all are refused.
 */
const char *rdb_lzf_expand(struct slice packed, size_t len, struct buffer *out);

#endif
