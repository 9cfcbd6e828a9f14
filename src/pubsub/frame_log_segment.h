#ifndef PUBSUB_FRAME_LOG_SEGMENT_H
#define PUBSUB_FRAME_LOG_SEGMENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pubsub/frame_log.h"

/* The body of struct frame_log, for the files frame_log*.c only. */

/* Where a frame ends, and the writer's tag. */
struct frame_mark {
	uint32_t end;
	uint32_t tag;
};

enum segment_state {
	SEGMENT_OPEN,   /* frames are added: the current segment and log->survivors */
	SEGMENT_SEALED, /* full; stays while a range holds part of it */
	SEGMENT_THIN,   /* sealed with few live bytes: in the list of segments that frame_log_tidy()
			   empties */
	SEGMENT_SPARE,  /* empty, kept for reuse */
};

struct segment {
	struct frame_log *log;
	TAILQ_ENTRY(segment) link; /* in the list of its state; open ones are in none */
	LIST_HEAD(, frame_range) ranges;
	uint64_t live; /* sum of the ranges' lengths */
	uint32_t cap;
	uint32_t len;
	struct frame_mark *marks;
	uint32_t frames;
	uint32_t frames_cap;
	uint32_t pins; /* pins of its ranges: its bytes are not moved unless this is 0 */
	enum segment_state state;
	char data[];
};

TAILQ_HEAD(segments, segment);

/* A frame being prepared, in a segment of just its size. */
struct draft {
	TAILQ_ENTRY(draft) link;
	struct segment *segment;
	uint64_t id;
	size_t held; /* its part of log->held_bytes */
	size_t at;
	size_t done; /* bytes of the payload that are in place */
};

TAILQ_HEAD(drafts, draft);

struct frame_log {
	uint32_t segment_bytes;
	struct segment *current;
	struct segment *survivors; /* the segment to which live bytes of thin segments are moved */
	struct segment *large; /* the last segment that was made for a single frame, unless a range
				  holds that frame */
	struct drafts drafts;
	struct segments sealed;
	struct segments thin;
	struct segments spare;
	uint32_t spare_count, spare_least; /* the least count since the last shrinking */
	bool was_written;
	size_t spare_bytes;
	size_t held_bytes;
	size_t draft_bytes; /* part of held_bytes that drafts take */
	uint64_t moved_bytes;
};

static inline size_t
segment_memory(const struct segment *segment)
{
	return sizeof(*segment) + segment->cap + segment->frames_cap * sizeof(*segment->marks);
}

#endif
