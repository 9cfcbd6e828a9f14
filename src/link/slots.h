#ifndef LINK_SLOTS_H
#define LINK_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Slots: which master of a cluster serves a channel. As the specification of Redis Cluster says
 * (chapters "Key distribution model" and "Hash tags"), a name belongs to one of 16384 slots, and
 * each slot to one master. The map is what CLUSTER SLOTS replies.
 */
struct resp_value;

#define SLOTS 16384
#define SLOT_MASTERS_MAX 256
#define SLOT_HOST_MAX 255
#define SLOT_UNSERVED UINT16_MAX

/* The slot of a channel: of the part between the first { and the next }, unless it is empty. */
uint16_t slot_of(struct slice name);

/*
 * Numbers whose decimal digits behind a prefix make a channel of a slot. They are looked for once:
 * all slots take about 170000 numbers. Zero at first, and always used with the same prefix, which
 * is shorter than SLOT_PREFIX_MAX and has no {.
 */
#define SLOT_PREFIX_MAX 128

struct slot_numbers {
	uint32_t of[SLOTS]; /* 1 is added; 0: it is not known yet */
	uint32_t tried;
	uint32_t found; /* slots */
};

/* The number of one of the slots for which is_one() is true; SLOT_NO_NUMBER: there is none. */
#define SLOT_NO_NUMBER UINT32_MAX
uint32_t slot_numbers_find(struct slot_numbers *numbers, const char *prefix,
    bool (*is_one)(const void *arg, uint16_t slot), const void *arg);

/* Goes on looking for them, with so many numbers at most. True: all are known. */
bool slot_numbers_go_on(struct slot_numbers *numbers, const char *prefix, uint32_t tries);

/* The number of this slot; SLOT_NO_NUMBER: there is none. */
uint32_t slot_numbers_of(struct slot_numbers *numbers, const char *prefix, uint16_t slot);

struct slot_master {
	char host[SLOT_HOST_MAX + 1];
	uint16_t port;
	size_t slots;
	uint16_t first; /* the lowest of them */
};

struct slot_map {
	uint16_t served_by[SLOTS]; /* an index of masters, or SLOT_UNSERVED */
	struct slot_master masters[SLOT_MASTERS_MAX];
	size_t count;  /* of masters */
	size_t served; /* slots */
};

/*
 * Reads the reply to CLUSTER SLOTS of the node at asked_host, which stands for a host that the
 * reply leaves out. NULL and *map is set; or what is wrong with the reply, a constant text, and
 * *map is undefined. A host has only letters, digits and "-._:%". A master whose host is not known
 * (?) or that has no port serves nothing.
 */
const char *slot_map_read(
    struct slot_map *map, const struct resp_value *reply, const char *asked_host);

#endif
