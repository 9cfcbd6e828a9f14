#include "config.h"

#include "pubsub/history.h"

/* What a reader may begin with. */

static uint64_t
later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t
history_complete_seq(const struct history *history, const struct ring *ring)
{
	uint64_t seq = ring != NULL ? ring->trimmed_seq : history_forgotten_seq(history);

	return later(seq, history_floor_seq(history));
}

uint64_t
history_count(const struct history *history, const struct ring *ring)
{
	if (ring == NULL)
		return 0;
	if (history_floor_seq(history) <= ring->trimmed_seq)
		return ring->count;
	return ring_count_after(ring, history_floor_seq(history));
}

uint64_t
history_seq_before_last(const struct history *history, const struct ring *ring, uint64_t n)
{
	return later(ring_seq_before_last(ring, n), history_complete_seq(history, ring));
}

bool
history_can_resume(
    const struct history *history, const struct ring *ring, struct hub_position position)
{
	struct hub_position newest = history_position(history);

	/* Without a ring, the channel may have messages that are not seen here. */
	if (history_follows(history) && (ring == NULL || history_is_hole(history, position.seq)))
		return false;
	return position.epoch == newest.epoch && position.seq <= newest.seq &&
	       position.seq >= history_complete_seq(history, ring);
}
