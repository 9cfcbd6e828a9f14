#ifndef APP_BUFFER_LIMITS_H
#define APP_BUFFER_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#include "app/settings.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "server/server.h"

/*
 * The value of client-output-buffer-limit: groups of class, hard limit, soft limit, seconds. Limits
 * are arrays of SERVER_CLASSES.
 */

/* Sets the named classes and leaves the others. Not SETTING_OK: nothing was changed. */
enum setting_fault buffer_limits_parse(struct server_buffer_limit *limits,
    const struct slice *values, size_t count) __attribute__((warn_unused_result));

/* As CONFIG GET shows them: plain numbers and the old name "slave", which clients expect. */
void buffer_limits_show(const struct server_buffer_limit *limits, struct buffer *out);

/* As in a file. */
void buffer_limits_write(const struct server_buffer_limit *limits, struct buffer *out);

bool buffer_limits_equal(const struct server_buffer_limit *a, const struct server_buffer_limit *b);

#endif
