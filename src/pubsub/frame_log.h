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
 * Frames written one after another lie side by side in a segment. An outbox holds a range of them:
 * a few words, whatever the number of frames. A segment lives as long as a range holds part of it.
 * The live bytes of a segment are those that ranges hold. When the live bytes of a full segment
 * fall under a quarter of its size, the next tidying moves them together elsewhere and the segment
 * is used again. So the log never takes more than four times its live bytes, plus the segments that
 * it writes to and those that are pinned.
 *
 * It knows nothing of what a frame says, of subscribers or of sockets. Not thread-safe.
 */
struct frame_log;
struct segment;

/* Where a frame that was just written lies. Valid until the next frame_log_write or frame_log_tidy.
 */
struct frame {
	struct segment *segment;
	char *ptr; /* len bytes to fill before anything else is done with the log */
	uint32_t offset;
	uint32_t len;
	uint32_t index; /* which frame of its segment */
	uint32_t tag;
};

/* A hold on frames that lie side by side; of the first, a part may have been consumed. */
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
 * `tag` stays with the frame (frame_range_drop_first gives it back). A frame larger than a quarter
 * segment gets one of its own size.
 */
struct frame frame_log_write(struct frame_log *log, size_t len, uint32_t tag);

/*
 * Prepares a frame of len bytes in which the payload begins at `at`: copies a part of the payload
 * at each call, since copying a large one takes longer than a turn has. True once all of it is
 * copied; then frame_log_write_prepared() follows, or frame_log_forget(). The caller chooses the
 * id, which no other frame being prepared has. A small frame needs no preparing: true at once.
 */
bool frame_log_prepare(struct frame_log *log, uint64_t id, size_t len, size_t at,
    struct slice payload) __attribute__((warn_unused_result));

/*
 * The same if the caller writes the payload itself. Returns where the payload begins; *done is the
 * caller's record of its progress, 0 at first. NULL if the frame is too small to need preparing.
 * Both pointers are valid until the next call on this log.
 */
char *frame_log_draft(struct frame_log *log, uint64_t id, size_t len, size_t at, size_t **done);

/* Frees what was prepared under `count` ids from this one on, and not written. */
void frame_log_forget(struct frame_log *log, uint64_t id, uint64_t count);

/* Writes the frame prepared under this id; what is not payload is left to the caller. False if
 * there is none of len bytes with its payload from `at` on: then frame_log_write() serves. */
bool frame_log_write_prepared(struct frame_log *log, uint64_t id, size_t len, size_t at,
    uint32_t tag, struct frame *frame) __attribute__((warn_unused_result));

/* Starts a hold on one frame. */
void frame_range_init(struct frame_range *range, const struct frame *frame);

/* Adds the frame to the range if it lies right behind it; else false and nothing changed. */
bool frame_range_extend(struct frame_range *range, const struct frame *frame)
    __attribute__((warn_unused_result));

const char *frame_range_ptr(const struct frame_range *range);

/* Between the two calls, which nest, tidying does not move the bytes of the range. No part of the
 * range may be released meanwhile; it may be extended. */
void frame_range_pin(const struct frame_range *range);
void frame_range_unpin(const struct frame_range *range);

/* Releases the first n bytes, n <= len; returns how many frames ended with them. */
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

/* Once a turn, after the flush: moves the live bytes of thin segments together and reuses these. */
void frame_log_tidy(struct frame_log *log);

/* Now and then: frees segments that are kept for reuse and were not used since the last call. */
void frame_log_shrink(struct frame_log *log);

/*
 * Sizes in bytes. held: all segments, including those kept for reuse. spare: of these, segments
 * without live bytes. live: what ranges hold, counted for each range. draft: prepared and not yet
 * written. moved: by tidying, since the start.
 */
size_t frame_log_held_bytes(const struct frame_log *log);
size_t frame_log_spare_bytes(const struct frame_log *log);
size_t frame_log_live_bytes(const struct frame_log *log);
size_t frame_log_draft_bytes(const struct frame_log *log);
uint64_t frame_log_moved_bytes(const struct frame_log *log);

#endif
