#ifndef PUBSUB_PRESENCE_IMAGE_H
#define PUBSUB_PRESENCE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Presence image: all channels and members, with what their last events said, so that the presence
 * of the successor in an upgrade continues: a member has neither another join nor a leave.
 *
 * Connections do not pass. The reader has one owner for those of the other process: a member that
 * has any is joined by it, until the caller learns that the last one has left. Times are of the
 * monotonic clock, which both processes have in common.
 */
struct presence;
struct presence_owner;

struct presence_image_channel {
	struct slice name;
	bool announced;        /* its last event was OCCUPIED */
	uint64_t vacant_at_us; /* 0: it has members, or no event VACATED waits for its time */
};

struct presence_image_member { /* of the channel before it */
	struct slice name, info;
	bool is_connected;
	bool announced;                       /* its last event was JOINED */
	uint64_t lease_until_us, leave_at_us; /* 0: none */
};

/* Each returns false to stop. */
struct presence_image_sink {
	bool (*channel)(void *arg, const struct presence_image_channel *channel);
	bool (*member)(void *arg, const struct presence_image_member *member);
	void *arg;
};

/* False: the sink has stopped it. */
bool presence_image_write(const struct presence *p, const struct presence_image_sink *sink)
    __attribute__((warn_unused_result));

/*
 * The reader, into a presence without members. False: the image is inconsistent, and nothing was
 * added. Options and limits of members are not checked: presence_image_end() begins to remove the
 * members of channels without presence.
 */
bool presence_image_add_channel(struct presence *p, const struct presence_image_channel *channel)
    __attribute__((warn_unused_result));
bool presence_image_add_member(struct presence *p, struct presence_owner *elsewhere,
    struct slice channel, const struct presence_image_member *member, uint64_t now_us)
    __attribute__((warn_unused_result));
void presence_image_end(struct presence *p);

#endif
