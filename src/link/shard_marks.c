#include "config.h"

#include "link/shard_marks.h"

#include <string.h>

static struct shard_mark *
mark_at(const struct shard_marks *marks, size_t at)
{
	return (struct shard_mark *)(void *)(marks->marks.ptr + at);
}

void
shard_marks_release(struct shard_marks *marks)
{
	buffer_release(&marks->marks);
	marks->at = 0;
}

uint64_t
shard_marks_add(struct shard_marks *marks, const void *source, uint64_t count)
{
	struct shard_mark mark = {source, count};
	struct buffer *b = &marks->marks;

	if (b->len > marks->at) {
		const struct shard_mark *last = mark_at(marks, b->len - sizeof(mark));

		if (last->source == source && last->count == count)
			return marks->last;
	}
	if (marks->at > 0 && marks->at >= b->len / 2) {
		b->len -= marks->at;
		memmove(b->ptr, b->ptr + marks->at, b->len);
		marks->at = 0;
	}
	buffer_append(b, &mark, sizeof(mark));
	return ++marks->last;
}

void
shard_marks_forget(struct shard_marks *marks, const void *source)
{
	for (size_t at = marks->at; at < marks->marks.len; at += sizeof(struct shard_mark))
		if (mark_at(marks, at)->source == source)
			mark_at(marks, at)->source = NULL;
}

void
shard_marks_update(
    struct shard_marks *marks, uint64_t (*count_of)(void *arg, const void *source), void *arg)
{
	for (; marks->at < marks->marks.len; marks->at += sizeof(struct shard_mark)) {
		const struct shard_mark *mark = mark_at(marks, marks->at);

		if (mark->source != NULL && count_of(arg, mark->source) < mark->count)
			return;
		marks->reached++;
	}
	marks->at = 0;
	buffer_clear(&marks->marks);
	buffer_shrink(&marks->marks, 65536);
}
