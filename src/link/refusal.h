#ifndef LINK_REFUSAL_H
#define LINK_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* What an upstream refuses: its errors are foreign bytes of any length. */
struct rate_limit;

#define LINK_ERROR_MAX 256 /* bytes of an error that are logged, or told to a publisher */

/* The error, or its beginning. */
struct slice refusal_cut(struct slice error);

/* MOVED and ASK: another node of the cluster is to be asked. */
bool refusal_is_redirection(struct slice error);

/* Logs it, if the limit allows. kind: "upstream" or "cluster"; address: of it, for people. */
void refusal_log(struct rate_limit *limit, const char *kind, const char *address,
    struct slice error, uint64_t now_us);

#endif
