#ifndef CMD_PUBLISH_ONCE_H
#define CMD_PUBLISH_ONCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "cmd/publish.h"

/*
 * A message that may be sent again: with an idempotency key it is published by the first request
 * with its key that the hub takes, and the key is stored in the same step. A request that waits is
 * executed again from the start, so it finds the key of another request that was faster.
 */
struct publish_once {
	const struct slice *key; /* 1 to IDEMPOTENCY_KEY_MAX bytes; NULL: none */
	uint64_t window_us;      /* 0: that of the channel */
	bool wants_position; /* with an upstream that gives positions, the request waits for it */
	struct hub_outcome outcome; /* set if the result is PUBLISH_DONE */
	bool is_duplicate;
};

/* Checks (publish_allows()) and publishes. As publish_message(); after PUBLISH_SENT the handler's
 * result is COMMAND_AGAIN, and it calls publish_once_sent() first when it is called again. */
enum publish_result publish_once(struct request *rq, const struct hub_post *post,
    struct publish_once *once) __attribute__((warn_unused_result));

/* What became of the message that the request sent when it was called before. */
enum publish_sent {
	PUBLISH_NOT_SENT,
	PUBLISH_KEPT,   /* once->outcome */
	PUBLISH_FAILED, /* the error of the upstream was appended to rq->reply; if the link was
			   lost, the message may have been published */
};
enum publish_sent publish_once_sent(struct request *rq, struct publish_once *once)
    __attribute__((warn_unused_result));

#endif
