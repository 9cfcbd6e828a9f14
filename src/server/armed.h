#ifndef SERVER_ARMED_H
#define SERVER_ARMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Armed channels: from which seq the next subscription of a client to each of them begins, as
 * RESUME has chosen. A part of the client's session; the caller bounds the number
 * (resume-max-channels) and the lengths of the names.
 */
struct client;

/* False if the channel is not armed. */
bool armed_find(const struct client *c, struct slice channel, uint64_t *after_seq)
    __attribute__((warn_unused_result));

/* Arms it, or replaces its seq. Copies the name. */
void armed_set(struct client *c, struct slice channel, uint64_t after_seq);

void armed_remove(struct client *c, struct slice channel); /* it need not be armed */

/* Removes at most `budget` of them. True: none is left. Otherwise nothing else is done with them
 * before the others are removed, too. */
bool armed_remove_some(struct client *c, size_t budget) __attribute__((warn_unused_result));

size_t armed_count(const struct client *c);

#endif
