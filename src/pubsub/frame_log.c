#include "config.h"

#include "pubsub/frame_log.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "pubsub/frame_log_segment.h"

/* The most segments kept for reuse: enough for the bursts of a turn, and few compared with the live
 * ones. */
#define SPARE_MAX 8

/* The most that one call of frame_log_prepare copies. The memory is new to the process, so the
 * kernel has to provide its pages: about a millisecond on a slow machine. */
#define PREPARED_STEP ((size_t)1 << 20)

static struct segment *
segment_new(struct frame_log *log, uint32_t cap)
{
	struct segment *segment = xmalloc_fixed(sizeof(*segment) + cap);

	*segment = (struct segment){.log = log, .cap = cap};
	log->held_bytes += segment_memory(segment);
	return segment;
}

static void
segment_free(struct segment *segment)
{
	segment->log->held_bytes -= segment_memory(segment);
	xfree(segment->marks);
	xfree(segment);
}

static struct segment *
segment_open(struct frame_log *log)
{
	struct segment *segment = TAILQ_FIRST(&log->spare);

	if (segment == NULL)
		return segment_new(log, log->segment_bytes);
	TAILQ_REMOVE(&log->spare, segment, link);
	if (--log->spare_count < log->spare_least)
		log->spare_least = log->spare_count;
	log->spare_bytes -= segment_memory(segment);
	segment->state = SEGMENT_OPEN;
	return segment;
}

static void
free_spare(struct frame_log *log, uint32_t count)
{
	for (; count > 0; count--)
		segment_free(segment_open(log));
}

static void
free_unheld(struct segment **slot)
{
	if (*slot == NULL || !LIST_EMPTY(&(*slot)->ranges))
		return;
	segment_free(*slot);
	*slot = NULL;
}

static void
segment_rewind(struct segment *segment)
{
	segment->len = 0;
	segment->frames = 0;
}

/* No range holds part of the segment, and it is in no list. */
static void
segment_retire(struct segment *segment)
{
	struct frame_log *log = segment->log;

	assert(LIST_EMPTY(&segment->ranges) && segment->live == 0);
	if (segment->cap != log->segment_bytes || log->spare_count == SPARE_MAX) {
		segment_free(segment);
		return;
	}
	segment_rewind(segment);
	segment->state = SEGMENT_SPARE;
	TAILQ_INSERT_HEAD(&log->spare, segment, link);
	log->spare_count++;
	log->spare_bytes += segment_memory(segment);
}

static bool
segment_is_thin(const struct segment *segment)
{
	return segment->live < segment->cap / 4;
}

/* A sealed segment has less live bytes: frees it, or puts it on the list of those to be moved. */
static void
segment_shrunk(struct segment *segment)
{
	struct frame_log *log = segment->log;

	if (segment->state == SEGMENT_OPEN || segment == log->large)
		return;
	if (LIST_EMPTY(&segment->ranges)) {
		TAILQ_REMOVE(
		    segment->state == SEGMENT_THIN ? &log->thin : &log->sealed, segment, link);
		segment_retire(segment);
	} else if (segment->state == SEGMENT_SEALED && segment->pins == 0 &&
		   segment_is_thin(segment)) {
		TAILQ_REMOVE(&log->sealed, segment, link);
		TAILQ_INSERT_TAIL(&log->thin, segment, link);
		segment->state = SEGMENT_THIN;
	}
}

static void
segment_seal(struct segment *segment)
{
	segment->state = SEGMENT_SEALED;
	TAILQ_INSERT_TAIL(&segment->log->sealed, segment, link);
	segment_shrunk(segment);
}

static void
log_settle_large(struct frame_log *log)
{
	struct segment *segment = log->large;

	log->large = NULL;
	if (segment != NULL)
		segment_shrunk(segment);
}

/* The open segment in *slot, with room for len bytes. A segment that no range holds is rewound, so
 * that a log whose readers keep up always writes to the same few pages, which stay in the cache. */
static struct segment *
log_room(struct frame_log *log, struct segment **slot, uint32_t len)
{
	struct segment *segment = *slot;

	if (segment != NULL && LIST_EMPTY(&segment->ranges))
		segment_rewind(segment);
	if (segment != NULL && segment->cap - segment->len < len) {
		segment_seal(segment);
		segment = NULL;
	}
	if (segment == NULL)
		segment = *slot = segment_open(log);
	return segment;
}

static void
segment_mark(struct segment *segment, uint32_t end, uint32_t tag)
{
	if (segment->frames == segment->frames_cap) {
		uint32_t cap = segment->frames_cap;

		/* A segment larger than usual mostly holds a single frame. */
		segment->frames_cap = cap > 0 ? cap * 2 : segment->cap > 65536 ? 2 : 64;
		segment->marks =
		    xrealloc(segment->marks, segment->frames_cap * sizeof(*segment->marks));
		segment->log->held_bytes += (segment->frames_cap - cap) * sizeof(*segment->marks);
	}
	segment->marks[segment->frames++] = (struct frame_mark){end, tag};
}

struct frame_log *
frame_log_new(size_t segment_bytes)
{
	struct frame_log *log = xcalloc(1, sizeof(*log));

	assert(segment_bytes >= 4096 && segment_bytes <= 16 << 20);
	log->segment_bytes = (uint32_t)segment_bytes;
	TAILQ_INIT(&log->drafts);
	TAILQ_INIT(&log->sealed);
	TAILQ_INIT(&log->thin);
	TAILQ_INIT(&log->spare);
	return log;
}

static void
draft_remove(struct frame_log *log, struct draft *draft)
{
	TAILQ_REMOVE(&log->drafts, draft, link);
	log->draft_bytes -= draft->held;
	xfree(draft);
}

static void
draft_drop(struct frame_log *log, struct draft *draft)
{
	segment_free(draft->segment);
	draft_remove(log, draft);
}

void
frame_log_forget(struct frame_log *log, uint64_t id, uint64_t count)
{
	struct draft *draft, *next;

	for (draft = TAILQ_FIRST(&log->drafts); draft != NULL; draft = next) {
		next = TAILQ_NEXT(draft, link);
		if (draft->id - id < count)
			draft_drop(log, draft);
	}
}

/* The draft with this id, or NULL. A draft with this id but another length or another place of the
 * payload is dropped. */
static struct draft *
draft_find(struct frame_log *log, uint64_t id, size_t len, size_t at)
{
	struct draft *draft;

	TAILQ_FOREACH (draft, &log->drafts, link)
		if (draft->id == id)
			break;
	if (draft == NULL || (draft->segment->cap == len && draft->at == at))
		return draft;
	draft_drop(log, draft);
	return NULL;
}

char *
frame_log_draft(struct frame_log *log, uint64_t id, size_t len, size_t at, size_t **done)
{
	struct draft *draft;

	assert(len <= INT32_MAX && at <= len);
	if (len <= log->segment_bytes / 4)
		return NULL;
	draft = draft_find(log, id, len, at);
	if (draft == NULL) {
		draft = xmalloc(sizeof(*draft));
		*draft =
		    (struct draft){.segment = segment_new(log, (uint32_t)len), .id = id, .at = at};
		draft->held = segment_memory(draft->segment);
		TAILQ_INSERT_TAIL(&log->drafts, draft, link);
		log->draft_bytes += draft->held;
	}
	*done = &draft->done;
	return draft->segment->data + at;
}

bool
frame_log_prepare(struct frame_log *log, uint64_t id, size_t len, size_t at, struct slice payload)
{
	size_t *copied, step;
	char *out = frame_log_draft(log, id, len, at, &copied);

	assert(payload.len <= len - at);
	if (out == NULL)
		return true;
	step = payload.len - *copied;
	if (step > PREPARED_STEP)
		step = PREPARED_STEP;
	memcpy(out + *copied, payload.ptr + *copied, step);
	*copied += step;
	return *copied == payload.len;
}

void
frame_log_free(struct frame_log *log)
{
	while (!TAILQ_EMPTY(&log->drafts))
		draft_drop(log, TAILQ_FIRST(&log->drafts));
	log_settle_large(log);
	assert(TAILQ_EMPTY(&log->sealed) && TAILQ_EMPTY(&log->thin));
	free_unheld(&log->current);
	free_unheld(&log->survivors);
	free_spare(log, log->spare_count);
	assert(log->held_bytes == 0);
	xfree(log);
}

void
frame_log_shrink(struct frame_log *log)
{
	log_settle_large(log);
	free_spare(log, log->spare_least);
	log->spare_least = log->spare_count;
	free_unheld(&log->survivors);
	if (!log->was_written)
		free_unheld(&log->current);
	log->was_written = false;
}

/* Adds a frame to the segment, which has room for it. */
static struct frame
segment_write(struct segment *segment, uint32_t len, uint32_t tag)
{
	struct frame frame = {
	    .segment = segment,
	    .ptr = segment->data + segment->len,
	    .offset = segment->len,
	    .len = len,
	    .index = segment->frames,
	    .tag = tag,
	};

	segment->len += len;
	segment_mark(segment, segment->len, tag);
	return frame;
}

/* Writes a frame into a segment of its own. */
static struct frame
log_write_large(struct frame_log *log, struct segment *segment, uint32_t tag)
{
	log_settle_large(log);
	log->large = segment;
	segment->state = SEGMENT_SEALED;
	TAILQ_INSERT_TAIL(&log->sealed, segment, link);
	return segment_write(segment, segment->cap, tag);
}

struct frame
frame_log_write(struct frame_log *log, size_t len, uint32_t tag)
{
	assert(len > 0 && len <= INT32_MAX);
	if (len > log->segment_bytes / 4)
		return log_write_large(log, segment_new(log, (uint32_t)len), tag);
	log_settle_large(log);
	log->was_written = true;
	return segment_write(log_room(log, &log->current, (uint32_t)len), (uint32_t)len, tag);
}

bool
frame_log_write_prepared(
    struct frame_log *log, uint64_t id, size_t len, size_t at, uint32_t tag, struct frame *frame)
{
	struct draft *draft = draft_find(log, id, len, at);

	if (draft == NULL)
		return false;
	*frame = log_write_large(log, draft->segment, tag);
	draft_remove(log, draft);
	return true;
}

static void
range_attach(struct frame_range *range, struct segment *segment)
{
	range->segment = segment;
	segment->live += range->len;
	LIST_INSERT_HEAD(&segment->ranges, range, of_segment);
}

void
frame_range_init(struct frame_range *range, const struct frame *frame)
{
	*range = (struct frame_range){
	    .offset = frame->offset, .len = frame->len, .first = frame->index, .frames = 1};
	range_attach(range, frame->segment);
}

bool
frame_range_extend(struct frame_range *range, const struct frame *frame)
{
	if (range->segment != frame->segment || range->offset + range->len != frame->offset)
		return false;
	range->len += frame->len;
	range->frames++;
	frame->segment->live += frame->len;
	return true;
}

void
frame_range_share(const struct frame_range *from, struct frame_range *range)
{
	assert(from->len > 0 && !from->started);
	*range = (struct frame_range){
	    .offset = from->offset, .len = from->len, .first = from->first, .frames = from->frames};
	range_attach(range, from->segment);
}

const char *
frame_range_ptr(const struct frame_range *range)
{
	return range->segment->data + range->offset;
}

void
frame_range_release(struct frame_range *range)
{
	struct segment *segment = range->segment;

	if (range->len == 0)
		return;
	LIST_REMOVE(range, of_segment);
	segment->live -= range->len;
	range->len = 0;
	range->frames = 0;
	segment_shrunk(segment);
}

void
frame_range_pin(const struct frame_range *range)
{
	struct segment *segment = range->segment;
	struct frame_log *log = segment->log;

	assert(range->len > 0);
	segment->pins++;
	if (segment->state != SEGMENT_THIN)
		return;
	TAILQ_REMOVE(&log->thin, segment, link);
	TAILQ_INSERT_TAIL(&log->sealed, segment, link);
	segment->state = SEGMENT_SEALED;
}

void
frame_range_unpin(const struct frame_range *range)
{
	assert(range->len > 0 && range->segment->pins > 0);
	if (--range->segment->pins == 0)
		segment_shrunk(range->segment);
}

uint32_t
frame_range_consume(struct frame_range *range, uint32_t n)
{
	struct segment *segment = range->segment;
	uint32_t ended = 0;

	assert(n <= range->len);
	if (n == range->len) {
		ended = range->frames;
		frame_range_release(range);
		return ended;
	}
	range->offset += n;
	range->len -= n;
	segment->live -= n;
	while (segment->marks[range->first].end <= range->offset) {
		range->first++;
		range->frames--;
		ended++;
	}
	if (n > 0)
		range->started = range->first == 0
				     ? range->offset > 0
				     : segment->marks[range->first - 1].end != range->offset;
	segment_shrunk(segment);
	return ended;
}

struct dropped_frame
frame_range_drop_first(struct frame_range *range)
{
	const struct frame_mark *mark;
	struct dropped_frame dropped;

	assert(range->frames > 0 && !range->started);
	mark = &range->segment->marks[range->first];
	dropped = (struct dropped_frame){.len = mark->end - range->offset, .tag = mark->tag};
	frame_range_consume(range, dropped.len);
	return dropped;
}

void
frame_range_split(struct frame_range *range, struct frame_range *rest)
{
	struct segment *segment = range->segment;
	uint32_t end;

	assert(range->frames > 1);
	end = segment->marks[range->first].end;
	*rest = (struct frame_range){.segment = segment,
	    .offset = end,
	    .len = range->offset + range->len - end,
	    .first = range->first + 1,
	    .frames = range->frames - 1};
	range->len -= rest->len;
	range->frames = 1;
	LIST_INSERT_HEAD(&segment->ranges, rest, of_segment);
}

/* Moves a range to the segment of survivors, or to one of its own. It stays contiguous. */
static void
range_move(struct frame_log *log, struct frame_range *range)
{
	struct segment *from = range->segment, *to;
	uint32_t i, offset;

	if (range->len > log->segment_bytes / 4) {
		to = segment_new(log, range->len);
		to->state = SEGMENT_SEALED;
		TAILQ_INSERT_TAIL(&log->sealed, to, link);
	} else {
		to = log_room(log, &log->survivors, range->len);
	}
	offset = to->len;
	memcpy(to->data + offset, from->data + range->offset, range->len);
	to->len += range->len;
	log->moved_bytes += range->len;

	i = range->first;
	range->first = to->frames;
	assert(from->marks != NULL);
	for (uint32_t n = 0; n < range->frames; n++, i++)
		segment_mark(to, offset + from->marks[i].end - range->offset, from->marks[i].tag);

	LIST_REMOVE(range, of_segment);
	from->live -= range->len;
	range->offset = offset;
	range_attach(range, to);
}

/*
 * Less than a quarter of a segment is moved, so for each byte written at most a quarter of a byte
 * is copied here, whatever the number of ranges. A full segment of survivors may become thin, too.
 */
void
frame_log_tidy(struct frame_log *log)
{
	struct segment *segment;

	log_settle_large(log);
	while ((segment = TAILQ_FIRST(&log->thin)) != NULL) {
		struct frame_range *range;

		TAILQ_REMOVE(&log->thin, segment, link);
		while ((range = LIST_FIRST(&segment->ranges)) != NULL)
			range_move(log, range);
		segment_retire(segment);
	}
}
