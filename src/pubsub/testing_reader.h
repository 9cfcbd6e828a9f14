#ifndef PUBSUB_TESTING_READER_H
#define PUBSUB_TESTING_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/hub.h"

/* For models of replays: a subscriber that reads what is queued in pieces, whose frames end with
 * ';' (testing_form.h). */
struct testing_reader {
	struct subscriber subscriber; /* the first member */
	bool is_closed;
	char rest[256]; /* an incomplete frame */
	size_t rest_len;
};

/* Since the start of the program: readers that were closed, and those of them without `notify` that
 * missed kept messages. */
struct testing_readers {
	uint64_t closed, overtaken;
};
extern struct testing_readers testing_readers;

/* `number` is random: a policy, and whether there are notices, are chosen by it. limits: bytes and
 * messages are the caller's. Borrows hub. */
void testing_reader_attach(
    struct testing_reader *reader, struct hub *hub, struct outbox_limits limits, size_t number);

/* Reads at most max bytes of a piece, and calls `read` for each frame that is whole. False if there
 * was nothing. */
bool testing_reader_read(struct testing_reader *reader, size_t max,
    void (*read)(struct testing_reader *reader, const char *frame));

#endif
