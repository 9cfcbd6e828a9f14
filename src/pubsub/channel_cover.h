#ifndef PUBSUB_CHANNEL_COVER_H
#define PUBSUB_CHANNEL_COVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "pubsub/channel_lines.h"

/*
 * Cover: whether the channels of a line get a history-ttl, without which a history-size keeps
 * nothing: from the line itself, or from an earlier line whose glob matches the same channels. A
 * history-ttl of 0 in a later line turns history off, which is no mistake. The checks keep this
 * true of all lines.
 */

/* To be asked before channel_lines_add() or channel_lines_set() with the same arguments. False:
 * error says CHANNEL_SIZE_WITHOUT_TTL. Other mistakes are left to these functions. */
bool channel_line_is_covered(const struct channel_lines *lines, struct slice glob,
    const struct slice *words, size_t count, struct channel_error *error)
    __attribute__((warn_unused_result));

/* The same for channel_lines_unset(). */
bool channel_line_stays_covered(const struct channel_lines *lines, struct slice glob,
    const struct slice *names, size_t count, struct channel_error *error)
    __attribute__((warn_unused_result));

#endif
