#include "config.h"

#include "pubsub/frame_log_segment.h"

/* What a frame log holds, in bytes. */

size_t
frame_log_held_bytes(const struct frame_log *log)
{
	return log->held_bytes;
}

static size_t
idle_bytes(const struct segment *segment)
{
	return segment != NULL && segment->owed == 0 ? segment_memory(segment) : 0;
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
frame_log_owed_bytes(const struct frame_log *log)
{
	const struct segment *segment;
	size_t owed = 0;

	if (log->current != NULL)
		owed += log->current->owed;
	if (log->survivors != NULL)
		owed += log->survivors->owed;
	TAILQ_FOREACH (segment, &log->sealed, link)
		owed += segment->owed;
	TAILQ_FOREACH (segment, &log->thin, link)
		owed += segment->owed;
	return owed;
}

uint64_t
frame_log_moved_bytes(const struct frame_log *log)
{
	return log->moved_bytes;
}
