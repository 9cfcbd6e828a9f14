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
	const struct slice *key;    /* 1 to IDEMPOTENCY_KEY_MAX bytes; NULL: none */
	uint64_t window_us;         /* 0: that of the channel */
	struct hub_outcome outcome; /* set if the result is PUBLISH_DONE */
	bool is_duplicate;
};

/* Checks (publish_allows()) and publishes. As publish_message(). */
enum publish_result publish_once(struct request *rq, const struct hub_post *post,
    struct publish_once *once) __attribute__((warn_unused_result));

#endif
