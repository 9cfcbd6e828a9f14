#ifndef SERVER_SENT_MESSAGES_H
#define SERVER_SENT_MESSAGES_H

#include <stdint.h>

#include "base/bytes.h"

/*
 * Messages that were sent to the upstream (upstream.h), numbered from 1 on. The reply of a command
 * that published is held back until the upstream has answered (held.h); if it refuses a message, or
 * the link is lost before, the reply becomes an error. Without a link all are 0.
 */
struct sent_messages {
	uint64_t sent;     /* the number of the last message */
	uint64_t answered; /* of the last one that was answered, or is in doubt */
	/* While replies are let go: those of messages with these numbers become this error. */
	uint64_t failed_from, failed_to; /* 0: none */
	struct slice failure;
};

#endif
