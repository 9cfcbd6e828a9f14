#ifndef CORE_RECORD_H
#define CORE_RECORD_H

#include <fanfare/types.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "pubsub/outbox.h"
#include "pubsub/wire_form.h"

/*
 * Records: the wire form of messages that are read one by one. A frame is a head of fixed length,
 * pattern, channel and payload.
 */
extern const struct wire_form record_form;

/*
 * The message that was read last. A small one is copied, so that reading keeps no memory of the log
 * in use; the frame of a large one is held. Between the two, in a hub with large segments, are
 * records that are too long for `small` and copied all the same. Zero at first.
 */
struct record_reader {
	char small[4096];
	struct buffer copy;
	struct frame_range held; /* len 0: none */
};

/* Whether the message that was read last takes memory beside the reader. */
static inline bool
record_is_held(const struct record_reader *reader)
{
	return reader->held.len > 0 || reader->copy.ptr != NULL;
}

/* Takes the first record out of the outbox; false: there is none. The one before is not held any
 * more. The epoch of its position is left to the caller. */
bool record_take(struct record_reader *reader, struct outbox *outbox,
    struct fanfare_message *message) __attribute__((warn_unused_result));

/* Frees all memory of the reader but itself. */
void record_release(struct record_reader *reader);

#endif
