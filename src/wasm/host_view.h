#ifndef WASM_HOST_VIEW_H
#define WASM_HOST_VIEW_H

#include <stddef.h>
#include <stdint.h>

/* The structs that a host reads in the memory of the module: see wasm/host.h. Their layout is
 * written down a second time in bindings/node/lib. */

/* What the host reads and never writes. In a wasm32 module each pointer is a 32-bit address. */
struct host_view {
	char *input; /* see host_input() */
	size_t input_len;
	struct host_record *records;
	size_t record_count;
	char *arena;
	size_t arena_len;
	char text[256]; /* an error text, with its NUL */
	double numbers[24];
};

enum host_kind {
	HOST_MESSAGE,  /* value is the offset of its block in the arena */
	HOST_MISSED,   /* value is the number of messages, high its upper half */
	HOST_READABLE, /* a subscriber that does not flow has messages: host_next() */
	/* The end of a subscriber (fanfare_subscriber_options.overflow): while it does not flow at
	 * once, and again when it flows and has no output left. */
	HOST_OVERFLOW,  /* FANFARE_OVERFLOW */
	HOST_OVERTAKEN, /* FANFARE_OVERTAKEN */
};

struct host_record {
	uint32_t slot; /* of the subscriber */
	uint32_t kind; /* enum host_kind */
	uint32_t value;
	uint32_t high;
};

/* A message in the arena; its offset is a multiple of 8. Its bytes follow: channel, pattern,
 * payload. */
struct host_block {
	uint64_t epoch; /* epoch and seq: 0-0 if it is not kept */
	uint64_t seq;
	uint32_t channel_len;
	uint32_t pattern_len; /* HOST_BY_NAME: received by name */
	uint32_t payload_len;
	uint32_t serial; /* not for the host: see wasm/host_form.h */
};
#define HOST_BY_NAME UINT32_MAX

#endif
