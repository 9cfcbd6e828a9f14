#ifndef CORE_RECORD_H
#define CORE_RECORD_H

#include <fanfare/types.h>

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
 * in use; the frame of a large one is held. Zero at first.
 */
struct record_reader {
	struct buffer copy;
	struct frame_range held; /* len 0: none */
};

/* Takes the first record out of the outbox; false: there is none. epoch is that of its position,
 * if it has one. */
bool record_take(struct record_reader *reader, struct outbox *outbox, uint64_t epoch,
    struct fanfare_message *message) __attribute__((warn_unused_result));

void record_release(struct record_reader *reader);

#endif
