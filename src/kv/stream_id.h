#ifndef KV_STREAM_ID_H
#define KV_STREAM_ID_H

#include <stdbool.h>
#include <stdint.h>

/* Id of an entry of a stream: ms of Unix time and a number within that ms, ordered by both. */
struct stream_id {
	uint64_t ms, seq;
};

#define STREAM_ID_MIN ((struct stream_id){0, 0})
#define STREAM_ID_MAX ((struct stream_id){UINT64_MAX, UINT64_MAX})

/* Negative, 0 or positive, as a is before, equal to or behind b. */
static inline int
stream_id_compare(struct stream_id a, struct stream_id b)
{
	if (a.ms != b.ms)
		return a.ms < b.ms ? -1 : 1;
	return (a.seq > b.seq) - (a.seq < b.seq);
}

static inline bool
stream_id_is_zero(struct stream_id id)
{
	return id.ms == 0 && id.seq == 0;
}

/* The id behind id, or before it. False: there is none, and id is unchanged. */
static inline bool
stream_id_next(struct stream_id *id)
{
	if (id->seq == UINT64_MAX && id->ms == UINT64_MAX)
		return false;
	id->ms += id->seq == UINT64_MAX;
	id->seq++;
	return true;
}

static inline bool
stream_id_prev(struct stream_id *id)
{
	if (id->seq == 0 && id->ms == 0)
		return false;
	id->ms -= id->seq == 0;
	id->seq--;
	return true;
}

#endif
