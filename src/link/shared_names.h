#ifndef LINK_SHARED_NAMES_H
#define LINK_SHARED_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "pubsub/wire_form.h"

/*
 * Shared names: the names with subscribers at a node of a cluster, by slot. A channel and a shard
 * channel of the same name are one name there: it is wanted while one of them has subscribers.
 */
struct shared_names;

struct shared_names *shared_names_new(void); /* returns owned (shared_names_free) */
void shared_names_free(struct shared_names *names);

/* kind, HUB_CHANNEL or HUB_SHARD, has its first subscriber: true if no kind of the name had one.
 * Has lost its last one: true if no kind has one now. */
bool shared_names_add(struct shared_names *names, enum hub_kind kind, struct slice name);
bool shared_names_remove(struct shared_names *names, enum hub_kind kind, struct slice name);

bool shared_names_has(const struct shared_names *names, enum hub_kind kind, struct slice name);

/* Visits the names of a slot; visit must not add or remove any. */
void shared_names_each(const struct shared_names *names, uint16_t slot,
    void (*visit)(void *arg, struct slice name), void *arg);

#endif
