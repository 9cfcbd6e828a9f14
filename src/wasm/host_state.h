#ifndef WASM_HOST_STATE_H
#define WASM_HOST_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <fanfare/core.h>

#include "base/buffer.h"
#include "wasm/host_view.h"

/* The structs of the host interface. For its own files only. */

/* A message that is in the arena already: the record of its next subscriber names the same block.
 */
struct host_seen {
	uint32_t serial;
	uint32_t batch; /* in which it was seen */
	uint32_t block; /* its offset in the arena */
	uint32_t index; /* among the messages of the batch */
};

#define HOST_SEEN 256 /* a power of two */

TAILQ_HEAD(host_listed, host_subscriber);

struct host {
	struct host_view view;
	struct fanfare_hub *hub;             /* NULL before host_open() */
	struct fanfare_publisher *publisher; /* of messages that do not wait */
	struct host_listed listed;           /* subscribers with something to record */
	struct buffer input, records, arena;
	unsigned form;   /* see host_form.h */
	uint32_t serial; /* of the last frame */
	uint32_t batch;
	uint32_t messages; /* of the batch, in the arena */
	bool room;
	struct host_seen seen[HOST_SEEN];
};

struct host_subscriber {
	TAILQ_ENTRY(host_subscriber) link; /* while is_listed */
	struct host *host;
	struct fanfare_subscriber *s;
	uint32_t slot;
	uint32_t end;     /* enum host_kind; 0: it has not ended */
	uint8_t end_told; /* 1: while it did not flow, 2: after its output */
	bool flows;
	bool has_output; /* since ready(), until FANFARE_EMPTY */
	bool is_told;    /* HOST_READABLE was recorded since then */
	bool is_listed;
};

struct fanfare_bytes host_bytes(const struct host *host, size_t at, size_t len); /* of the input */
uint64_t host_time(double us);

/* Writes "EPOCH-SEQ", or nothing for 0-0. */
void host_set_position(struct host *host, struct fanfare_position position);

void host_list(struct host_subscriber *hs); /* host_drain() will look at it */
void host_unlist(struct host_subscriber *hs);

/* Empties records and arena; host_end_records() makes them visible. */
void host_begin_records(struct host *host);
size_t host_end_records(struct host *host); /* returns the number of records */
void host_record_name(struct host *host, uint32_t slot, struct fanfare_bytes name);

#endif
