#ifndef RESP_MESSAGE_H
#define RESP_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * The forms in which a published message goes to RESP subscribers: an array (RESP2) or a push
 * (RESP3) of a kind ("message", "pmessage", "smessage") and its parts (pattern, channel, payload).
 *
 * This is on the path of every message, so it is in two steps: the exact length first, then one
 * pass of writing into memory of that length. It knows neither the hub nor its log.
 */

/* Bytes that resp_message_write will write. proto is 2 or 3. */
size_t resp_message_len(int proto, struct slice kind, const struct slice *parts, size_t count);

/* Writes the message at out, which has resp_message_len bytes; returns the end. */
char *resp_message_write(
    int proto, struct slice kind, const struct slice *parts, size_t count, char *out);

#define RESP_LAGGED_MAX 48 /* room for resp_lagged_write */

/* Writes ["lagged", missed] at out and returns its length, at most RESP_LAGGED_MAX. */
size_t resp_lagged_write(int proto, uint64_t missed, char *out);

#endif
