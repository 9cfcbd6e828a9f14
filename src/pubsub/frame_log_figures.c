#include "config.h"

#include "pubsub/frame_log_segment.h"

/* Sizes of a frame log, in bytes. */

size_t
frame_log_held_bytes(const struct frame_log *log)
{
	return log->held_bytes;
}

static size_t
idle_bytes(const struct segment *segment)
{
	return segment != NULL && segment->live == 0 ? segment_memory(segment) : 0;
}

size_t
frame_log_spare_bytes(const struct frame_log *log)
{
	return log->spare_bytes + idle_bytes(log->current) + idle_bytes(log->survivors);
}

size_t
frame_log_draft_bytes(const struct frame_log *log)
{
	return log->draft_bytes;
}

size_t
frame_log_live_bytes(const struct frame_log *log)
{
	const struct segment *segment;
	size_t live = 0;

	if (log->current != NULL)
		live += log->current->live;
	if (log->survivors != NULL)
		live += log->survivors->live;
	TAILQ_FOREACH (segment, &log->sealed, link)
		live += segment->live;
	TAILQ_FOREACH (segment, &log->thin, link)
		live += segment->live;
	return live;
}

uint64_t
frame_log_moved_bytes(const struct frame_log *log)
{
	return log->moved_bytes;
}
