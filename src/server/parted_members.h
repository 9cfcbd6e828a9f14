#ifndef SERVER_PARTED_MEMBERS_H
#define SERVER_PARTED_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Parted members: what the process that was replaced in an upgrade sends to its successor for each
 * member of a channel whose last connection there has left, as commands in RESP:
 *
 *     FANFARED.PARTED CHANNEL NAME
 *
 * It knows only the format.
 */

void parted_members_put(struct buffer *out, struct slice channel, struct slice member);

/* The first of the commands, as many as begin within `most` bytes. */
struct slice parted_members_part(struct slice commands, size_t most);

/* False: it is another command. */
bool parted_members_read(const struct slice *argv, size_t argc, struct slice *channel,
    struct slice *member) __attribute__((warn_unused_result));

#endif
