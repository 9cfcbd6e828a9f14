#ifndef CMD_STREAM_GROUPS_H
#define CMD_STREAM_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/stream.h"
#include "kv/stream_group.h"
#include "server/request.h"

/*
 * Consumer groups in the handlers of streams: finding a group, creating a consumer, and what goes
 * to the append-only file. That file has the outcome: consumers as XGROUP CREATECONSUMER, pending
 * entries as XCLAIM, how far a group has read as XGROUP SETID. As in Redis, it does not have that a
 * consumer tried and got nothing, or read its pending entries once more.
 */

/* A change that, as in Redis, does not concern clients that watch the key. event NULL: none. */
void stream_note_change(struct request *rq, struct slice name, const char *event);

/* The names of a group, and the group. */
struct stream_target {
	struct slice key, group_name;
	struct kv_stream *stream;
	struct stream_group *group;
};

/* Finds the group; both pointers are NULL if there is none. Returns false after replying with
 * WRONGTYPE. */
bool stream_target_find(struct request *rq, struct slice key, struct slice group,
    struct stream_target *target) __attribute__((warn_unused_result));

/* The same, and without such a group replies "NOGROUP No such key 'x' or consumer group 'y'" and
 * the rest of that text. */
bool stream_target_need(struct request *rq, struct slice key, struct slice group, const char *rest,
    struct stream_target *target) __attribute__((warn_unused_result));

/* The consumer, which now was seen. A new one is created, notified of, and logged. */
struct stream_consumer *stream_consumer_seen(
    struct request *rq, const struct stream_target *target, struct slice name);

/* Marks an id as delivered to the group: it has read up to it. */
void stream_group_advance(const struct stream_target *target, struct stream_id id);

/*
 * Pending entries for the log: those with the same consumer, time and number of deliveries go into
 * one command. The last of them is logged by stream_claims_end.
 */
#define STREAM_CLAIMS_MAX 256

struct stream_claims {
	struct request *rq;
	const struct stream_target *target;
	struct slice consumer;
	int64_t delivered_ms;
	uint64_t deliveries;
	size_t count;
	struct stream_id ids[STREAM_CLAIMS_MAX];
};

void stream_claims_begin(struct stream_claims *claims, struct request *rq,
    const struct stream_target *target, struct slice consumer);
void stream_claims_add(
    struct stream_claims *claims, struct stream_id id, const struct stream_pending *pending);
void stream_claims_end(struct stream_claims *claims);

/* Logs the times of the consumer, if the entries that it got were logged with another time. */
void stream_log_times(
    struct request *rq, const struct stream_target *target, const struct stream_consumer *consumer);

/* Logs how far the group has read. */
void stream_log_position(struct request *rq, const struct stream_target *target);

/* Logs that an entry is not pending any more. */
void stream_log_acknowledged(
    struct request *rq, const struct stream_target *target, struct stream_id id);

#endif
