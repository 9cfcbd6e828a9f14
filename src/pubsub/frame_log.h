#ifndef PUBSUB_FRAME_LOG_H
#define PUBSUB_FRAME_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"

/*
 * Frame log: encoded frames, written once and shared by all outboxes that have them queued.
 *
 * Frames written one after another are adjacent in a segment. An outbox holds a range of them,
 * which takes a few words, whatever the number of frames. A segment is kept as long as a range
 * holds part of it. The bytes that ranges hold are its live bytes. When the live bytes of a full
 * segment fall under a quarter of its size, the next frame_log_tidy() moves them to another
 * segment, and the segment is reused. So the log never takes more than four times its live bytes,
 * plus the open and the pinned segments.
 *
 * It does not know the contents of frames, subscribers or sockets. Not thread-safe.
 */
struct frame_log;
struct segment;

/* The place of a frame that was just written. Valid until the next frame_log_write or
 * frame_log_tidy. */
struct frame {
	struct segment *segment;
	char *ptr; /* len bytes to fill before anything else is done with the log */
	uint32_t offset;
	uint32_t len;
	uint32_t index; /* index of the frame in its segment */
	uint32_t tag;
};

/* A hold on adjacent frames; a part of the first one may have been consumed. */
struct frame_range {
	LIST_ENTRY(frame_range) of_segment;
	struct segment *segment;
	uint32_t offset; /* of the first byte still held */
	uint32_t len;    /* bytes held */
	uint32_t first;  /* index of the first frame held */
	uint32_t frames; /* frames held, a partial one counted */
	bool started;    /* a part of the first frame was consumed */
};

/* segment_bytes is 4096 to 16 MiB. Returns owned (frame_log_free, when no range holds it any more).
 */
struct frame_log *frame_log_new(size_t segment_bytes);
void frame_log_free(struct frame_log *log);

/*
 * Room for one frame of len bytes (1 to 2^31-1, checked by the caller against its own limits).
 * `tag` is stored with the frame (frame_range_drop_first returns it). A frame larger than a quarter
 * of a segment gets a segment of its own size.
 */
struct frame frame_log_write(struct frame_log *log, size_t len, uint32_t tag);

/*
 * Prepares a frame of len bytes in which the payload begins at `at`: each call copies a part of the
 * payload, because copying a large one at once would make a turn too long. True once all of it is
 * copied; then call frame_log_write_prepared() or frame_log_forget(). The caller chooses the id,
 * which no other frame being prepared may have. For a small frame it returns true at once and
 * prepares nothing.
 */
bool frame_log_prepare(struct frame_log *log, uint64_t id, size_t len, size_t at,
    struct slice payload) __attribute__((warn_unused_result));

/*
 * The same if the caller writes the payload itself. Returns where the payload begins; *done is the
 * caller's record of its progress, 0 at first. NULL if the frame is too small to need preparing.
 * Both pointers are valid until the next call on this log.
 */
char *frame_log_draft(struct frame_log *log, uint64_t id, size_t len, size_t at, size_t **done);

/* Frees the frames that were prepared under `count` ids from this one on and not written. */
void frame_log_forget(struct frame_log *log, uint64_t id, uint64_t count);

/* Writes the frame prepared under this id; the caller fills in the bytes around the payload. False
 * if no frame of len bytes with its payload at `at` was prepared: then use frame_log_write(). */
bool frame_log_write_prepared(struct frame_log *log, uint64_t id, size_t len, size_t at,
    uint32_t tag, struct frame *frame) __attribute__((warn_unused_result));

/* Starts a hold on one frame. */
void frame_range_init(struct frame_range *range, const struct frame *frame);

/* Adds the frame to the range if it is directly behind it; else returns false and changes
 * nothing. */
bool frame_range_extend(struct frame_range *range, const struct frame *frame)
    __attribute__((warn_unused_result));

/* Starts another hold on the frames of a range of which no part was consumed. */
void frame_range_share(const struct frame_range *from, struct frame_range *range);

const char *frame_range_ptr(const struct frame_range *range);

/* Between the two calls, which nest, frame_log_tidy() does not move the bytes of the range. No part
 * of the range may be released meanwhile; it may be extended. */
void frame_range_pin(const struct frame_range *range);
void frame_range_unpin(const struct frame_range *range);

/* Releases the first n bytes, n <= len; returns the number of frames that ended with them. */
uint32_t frame_range_consume(struct frame_range *range, uint32_t n);

struct dropped_frame {
	uint32_t len;
	uint32_t tag;
};

/* Releases the whole first frame, which is not started. */
struct dropped_frame frame_range_drop_first(struct frame_range *range);

/*
 * Splits off everything behind the first frame into *rest (uninitialised); the range holds at
 * least two frames.
 */
void frame_range_split(struct frame_range *range, struct frame_range *rest);

/* Releases all of it. A range of len 0 holds nothing and needs no release. */
void frame_range_release(struct frame_range *range);

/* Call it once a turn, after the flush: moves the live bytes of thin segments together, and reuses
 * the segments. */
void frame_log_tidy(struct frame_log *log);

/* Call it about once a second: frees segments that are kept for reuse and were not used since the
 * last call. */
void frame_log_shrink(struct frame_log *log);

/*
 * Sizes in bytes. held: all segments, including those kept for reuse. spare: of these, segments
 * without live bytes. live: bytes that ranges hold, counted for each range. draft: prepared and not
 * yet written. moved: bytes that frame_log_tidy() has moved since the start.
 */
size_t frame_log_held_bytes(const struct frame_log *log);
size_t frame_log_spare_bytes(const struct frame_log *log);
size_t frame_log_live_bytes(const struct frame_log *log);
size_t frame_log_draft_bytes(const struct frame_log *log);
uint64_t frame_log_moved_bytes(const struct frame_log *log);

#endif
