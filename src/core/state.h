#ifndef CORE_STATE_H
#define CORE_STATE_H

#include <fanfare/core.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/record.h"
#include "pubsub/history.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"

/*
 * The bodies of the library's opaque structs, for the files of this layer only. A hub of the
 * library is a hub of pubsub/hub.h with its limits, and with the lists of what belongs to it.
 *
 * Each function that changes the hub is between core_enter() and core_leave(): what a callback
 * calls meanwhile finds the hub busy.
 */
#define CORE_NOW_END (UINT64_C(1) << 62) /* us */

struct core_form {
	struct wire_form wire; /* first */
	struct fanfare_form form;
};

struct fanfare_hub {
	struct hub *hub;
	struct hub_limits limits;
	struct history_limits history;
	struct hub_interest interest;
	LIST_HEAD(, fanfare_subscriber) subscribers;
	LIST_HEAD(, fanfare_publisher) publishers;
	size_t subscriber_count;
	size_t waiting; /* publishers that wait */
	size_t message_max;
	uint64_t block_us;  /* UINT64_MAX: no limit */
	uint64_t now_us;    /* the latest time that was given */
	uint64_t shrink_us; /* when hub_shrink() is due */
	uint8_t shrinks;    /* calls of hub_shrink() until nothing is left to free */
	bool is_busy;
	bool is_in_round;
	bool room_asked; /* room() was called, and no round has begun since */
	bool is_ending;  /* no callbacks any more */
	struct record_reader reader;
	struct core_form *forms[FANFARE_FORMS_MAX + 1]; /* [0]: NULL, records */
	unsigned form_count;
	void (*room)(void *arg, struct fanfare_hub *hub);
	void (*wanted)(void *arg, struct fanfare_hub *hub, bool is_pattern,
	    struct fanfare_bytes name, bool is_wanted);
	void *arg;
};

struct fanfare_subscriber {
	struct subscriber base;
	struct fanfare_hub *hub;
	LIST_ENTRY(fanfare_subscriber) link;
	void (*ready)(void *arg, struct fanfare_subscriber *s);
	void (*overflow)(void *arg, struct fanfare_subscriber *s, enum fanfare_end end);
	void *arg;
	size_t in_flight; /* bytes of the write in flight */
	bool is_closing;
};

/* Which message a publisher waits with. */
struct core_message_id {
	size_t channel_len;
	size_t payload_len;
	uint64_t hash; /* see core/publish.c */
};

struct fanfare_publisher {
	struct hub_publication publication;
	struct core_message_id message; /* while is_waiting */
	bool is_waiting;                /* its message was not delivered, and it has not ended */
	struct fanfare_hub *hub;
	LIST_ENTRY(fanfare_publisher) link;
};

/* If no publisher waits any more and no round is being held: frees the room that subscribers
 * reserved for publishers, so that the next one gets it. Within core_enter() and core_leave(). */
void core_free_room(struct fanfare_hub *hub); /* publish.c */

/* How often hub_shrink() is called after the last change, and how long apart. */
#define CORE_SHRINKS 2
#define CORE_SHRINK_US 1000000

/* False: the hub is busy. */
static inline bool
core_enter(struct fanfare_hub *hub)
{
	if (hub->is_busy)
		return false;
	hub->is_busy = true;
	return true;
}

static inline void
core_leave(struct fanfare_hub *hub)
{
	hub->is_busy = false;
}

/* now_us is below CORE_NOW_END. An earlier time than before counts as the same. */
static inline void
core_set_now(struct fanfare_hub *hub, uint64_t now_us)
{
	if (now_us > hub->now_us)
		hub->now_us = now_us;
	hub_set_time(hub->hub, hub->now_us);
}

/* Messages came or went: memory is to be freed later. */
static inline void
core_note_use(struct fanfare_hub *hub)
{
	if (hub->shrinks == 0)
		hub->shrink_us = hub->now_us + CORE_SHRINK_US;
	hub->shrinks = CORE_SHRINKS;
}

static inline bool
core_are_bytes(struct fanfare_bytes bytes)
{
	return bytes.data != NULL || bytes.len == 0;
}

static inline struct slice
core_slice(struct fanfare_bytes bytes)
{
	return (struct slice){bytes.data != NULL ? bytes.data : "", bytes.len};
}

static inline struct fanfare_bytes
core_bytes(struct slice slice)
{
	return (struct fanfare_bytes){slice.ptr, slice.len};
}

#endif
