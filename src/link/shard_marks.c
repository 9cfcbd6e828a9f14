#include "config.h"

#include "link/shard_marks.h"

#include <assert.h>

#define COUNT_MAX (((uint64_t)1 << SHARD_MARKS_COUNT_BITS) - 1)

uint64_t
shard_marks_add(struct shard_marks *marks, size_t source, uint64_t count)
{
	struct shard_mark_source *s = &marks->sources[source];

	assert(source < SHARD_MARKS_SOURCES && s->before + count <= COUNT_MAX);
	if (s->before + count > s->last)
		s->last = s->before + count;
	return (uint64_t)source << SHARD_MARKS_COUNT_BITS | (s->before + count);
}

static void
reach(struct shard_marks *marks, struct shard_mark_source *source, uint64_t count)
{
	if (count <= source->reached)
		return;
	marks->has_news = marks->has_news || source->reached < source->last;
	source->reached = count;
}

void
shard_marks_update(struct shard_marks *marks, size_t source, uint64_t count)
{
	reach(marks, &marks->sources[source], marks->sources[source].before + count);
}

void
shard_marks_forget(struct shard_marks *marks, size_t source)
{
	struct shard_mark_source *s = &marks->sources[source];

	reach(marks, s, s->last);
	s->before = s->reached;
}

bool
shard_marks_is_reached(const struct shard_marks *marks, uint64_t mark)
{
	return marks->sources[mark >> SHARD_MARKS_COUNT_BITS].reached >= (mark & COUNT_MAX);
}
