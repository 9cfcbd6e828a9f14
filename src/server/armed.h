#ifndef SERVER_ARMED_H
#define SERVER_ARMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/wire_form.h"

/*
 * Armed channels and patterns: from which seq the next subscription of a client to each of them
 * begins, as RESUME and PRESUME have chosen. A part of the client's session; the caller bounds the
 * number (resume-max-channels) and the lengths of the names.
 */
struct armed;
struct client;

/* kind is HUB_CHANNEL or HUB_PATTERN. False if it is not armed. */
bool armed_find(const struct client *c, enum hub_kind kind, struct slice name, uint64_t *after_seq)
    __attribute__((warn_unused_result));

/* Arms it, or replaces its seq. Copies name. */
void armed_set(struct client *c, enum hub_kind kind, struct slice name, uint64_t after_seq);

/* It need not be armed. */
void armed_remove(struct client *c, enum hub_kind kind, struct slice name);
void armed_remove_all(struct client *c, enum hub_kind kind);

/* Of both kinds together. */
size_t armed_count(const struct client *c);

/* Frees client->session->armed; may be NULL. */
void armed_drop(struct client *c);

#endif
