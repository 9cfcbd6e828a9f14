#ifndef PUBSUB_FRAME_LOG_H
#define PUBSUB_FRAME_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"

/*
 * Frame log: encoded frames, written once, read by everyone who is owed them.
 *
 * Frames written one after another lie side by side in a segment. Whoever is owed frames holds a
 * range of them: a few words, whatever the number of frames. A segment lives as long as a range
 * holds part of it. When what is still owed of a full segment falls under a quarter of its size,
 * the next tidying moves those bytes together elsewhere and the segment is used again; so the log
 * never holds more than four times what it owes, plus the segments that it writes to and that are
 * pinned, and the same bytes owed to many are held once.
 *
 * It knows nothing of what a frame says, of subscribers or of sockets. Not thread-safe.
 */
struct frame_log;
struct segment;

/* A frame just written: where it lies. Good until the next frame_log_write or frame_log_tidy. */
struct frame {
	struct segment *segment;
	char *ptr; /* len bytes to fill before anything else is done with the log */
	uint32_t offset;
	uint32_t len;
	uint32_t index; /* which frame of its segment */
	uint32_t tag;
};

/* A hold on frames that lie side by side. The first may be held in part (the rest was consumed). */
struct frame_range {
	LIST_ENTRY(frame_range) of_segment;
	struct segment *segment;
	uint32_t offset; /* of the first byte still held */
	uint32_t len;    /* bytes held */
	uint32_t first;  /* index of the first frame held */
	uint32_t frames; /* frames held, a partial one counted */
	bool started;    /* the first frame is held in part only */
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
 * A frame of len bytes will be written, in which the payload stands from `at` on: copies it there,
 * a step of it at each call, for a large one takes longer than a turn has. True once all of it is
 * there. To be called again until then, and then comes frame_log_write_prepared, or
 * frame_log_forget. id is the caller's, and no other frame's that is under way. What is too small
 * to be worth it is prepared at once.
 */
bool frame_log_prepare(struct frame_log *log, uint64_t id, size_t len, size_t at,
    struct slice payload) __attribute__((warn_unused_result));

/*
 * The same for whoever writes the payload by himself: where it stands, and in *done what the caller
 * has noted of its progress, 0 at first. NULL where the frame is too small to be worth it. Both
 * pointers stand until the next call on this log.
 */
char *frame_log_draft(struct frame_log *log, uint64_t id, size_t len, size_t at, size_t **done);

/* Lets go of what was prepared under the count ids from this one on, and not written. */
void frame_log_forget(struct frame_log *log, uint64_t id, uint64_t count);

/* The frame prepared under this id, complete but for what is not its payload. False if there is
 * none, or it was not of len bytes with its payload from `at` on: frame_log_write is for these. */
bool frame_log_write_prepared(struct frame_log *log, uint64_t id, size_t len, size_t at,
    uint32_t tag, struct frame *frame) __attribute__((warn_unused_result));

/* Starts a hold on one frame. */
void frame_range_init(struct frame_range *range, const struct frame *frame);

/* Takes the frame in if it lies right behind the range; else false and nothing changed. */
bool frame_range_extend(struct frame_range *range, const struct frame *frame)
    __attribute__((warn_unused_result));

const char *frame_range_ptr(const struct frame_range *range);

/* From pin to unpin, which are counted, the bytes of the range stay where they are: tidying leaves
 * its segment alone. All of the range is held meanwhile; it may be extended. */
void frame_range_pin(const struct frame_range *range);
void frame_range_unpin(const struct frame_range *range);

/* Lets the first n bytes go, n <= len; returns how many frames ended with them. */
uint32_t frame_range_consume(struct frame_range *range, uint32_t n);

/* Lets the whole first frame go, which is not started; returns its length and *tag. */
uint32_t frame_range_drop_first(struct frame_range *range, uint32_t *tag);

/*
 * Splits off everything behind the first frame into *rest (uninitialised); the range holds at
 * least two frames.
 */
void frame_range_split(struct frame_range *range, struct frame_range *rest);

/* Lets everything go. A range of len 0 holds nothing and needs no release. */
void frame_range_release(struct frame_range *range);

/* Once a turn, after the flush: moves what is left in thin segments together and reuses them. */
void frame_log_tidy(struct frame_log *log);

/* Now and then: frees what was kept for reuse and was not used since the last call. */
void frame_log_shrink(struct frame_log *log);

/* Bytes of all segments, those kept for reuse or written to included; the part of those that nobody
 * is owed anything of; the part that is owed to somebody. */
size_t frame_log_held_bytes(const struct frame_log *log);
size_t frame_log_spare_bytes(const struct frame_log *log);
size_t frame_log_owed_bytes(
    const struct frame_log *log); /* the same bytes owed to many: counted for each */
size_t frame_log_draft_bytes(const struct frame_log *log);   /* prepared, and not written */
uint64_t frame_log_moved_bytes(const struct frame_log *log); /* by tidying, since the start */

#endif
