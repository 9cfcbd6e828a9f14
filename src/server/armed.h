#ifndef SERVER_ARMED_H
#define SERVER_ARMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/hub_gather.h"
#include "pubsub/wire_form.h"

/*
 * Armed channels and patterns: from where the next subscription of a client to each of them begins,
 * as RESUME and PRESUME have chosen. A part of the client's session; the caller bounds the number
 * (resume-max-channels) and the lengths of the names.
 *
 * kind is HUB_CHANNEL or HUB_PATTERN. A channel begins behind after_seq, which is its whole_seq. If
 * the epoch of positions has changed since, the start is one that cannot be resumed from.
 */
struct client;

/* False if it is not armed. */
bool armed_find(const struct client *c, enum hub_kind kind, struct slice name,
    struct hub_start *start) __attribute__((warn_unused_result));

/* Arms it, or replaces its start. Copies the name. */
void armed_set(struct client *c, enum hub_kind kind, struct slice name, struct hub_start start);

/* It need not be armed. */
void armed_remove(struct client *c, enum hub_kind kind, struct slice name);

/* Removes at most `budget` of them; armed_drain() of both kinds, each. True: none is left.
 * Otherwise nothing else is done with them before the others are removed, too. */
bool armed_remove_some(struct client *c, enum hub_kind kind, size_t budget)
    __attribute__((warn_unused_result));
bool armed_drain(struct client *c, size_t budget) __attribute__((warn_unused_result));

size_t armed_count(const struct client *c, enum hub_kind kind);

#endif
