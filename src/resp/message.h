#ifndef RESP_MESSAGE_H
#define RESP_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * The form of a published message for RESP subscribers: an array (RESP2) or a push (RESP3) of its
 * kind ("message", "pmessage", "smessage"), its parts (pattern, channel) and the payload. It is
 * written as a head, the payload as it is, and RESP_MESSAGE_TAIL.
 *
 * Every message takes this path, so it has two steps: first the exact length, then one pass that
 * writes into memory of that length. The caller writes the payload, because it may have copied it
 * already. It knows neither the hub nor its log.
 */
#define RESP_MESSAGE_TAIL "\r\n"

/* The number of bytes that resp_message_head_write writes. proto is 2 or 3; parts do not include
 * the payload. */
size_t resp_message_head_len(
    int proto, struct slice kind, const struct slice *parts, size_t count, size_t payload_len);

/* Writes the head at out, which has room for resp_message_head_len bytes; returns the end. */
char *resp_message_head_write(int proto, struct slice kind, const struct slice *parts, size_t count,
    size_t payload_len, char *out);

#define RESP_LAGGED_MAX 48 /* room for resp_lagged_write */

/* Writes ["lagged", missed] at out and returns its length, at most RESP_LAGGED_MAX.
 * RESP_LAGGED_UNKNOWN: it is not known how many are missing. */
#define RESP_LAGGED_UNKNOWN (-1)
size_t resp_lagged_write(int proto, int64_t missed, char *out);

#endif
