#include "config.h"

#include "core/state.h"
#include "pubsub/hub_history.h"

/* Reading what is kept. */

struct reading {
	const struct ring *ring;
	struct fanfare_bytes channel;
	uint64_t epoch;
	uint64_t after_seq, upto_seq;
	uint64_t most; /* 0: no limit */
};

static enum fanfare_result
begin(struct fanfare_hub *hub, struct fanfare_bytes channel, uint64_t now_us)
{
	if (hub == NULL || !core_are_bytes(channel) || now_us >= CORE_NOW_END)
		return FANFARE_INVALID;
	if (channel.len > hub->limits.name_bytes)
		return FANFARE_NAME_TOO_LONG;
	if (!core_enter(hub))
		return FANFARE_BUSY;
	core_set_now(hub, now_us);
	return FANFARE_OK;
}

/* Returns the number of messages that were read. */
static uint64_t
read_all(const struct reading *r, fanfare_history_reader *read, void *arg)
{
	struct ring_iterator it;
	struct ring_message m;
	uint64_t count = 0;

	if (r->ring == NULL)
		return 0;
	ring_after(r->ring, r->after_seq, &it);
	while ((r->most == 0 || count < r->most) && ring_next(&it, &m) && m.seq <= r->upto_seq) {
		struct fanfare_message message = {
		    .channel = r->channel,
		    .payload = core_bytes(m.payload),
		    .position = {r->epoch, m.seq},
		};

		count++;
		if (!read(arg, &message))
			break;
	}
	return count;
}

static enum fanfare_result
finish(struct fanfare_hub *hub, const struct reading *r, fanfare_history_reader *read, void *arg,
    uint64_t *count)
{
	uint64_t n = read_all(r, read, arg);

	core_leave(hub);
	if (count != NULL)
		*count = n;
	return FANFARE_OK;
}

static struct reading
reading_of(struct fanfare_hub *hub, struct fanfare_bytes channel)
{
	return (struct reading){
	    .ring = hub_ring(hub->hub, core_slice(channel), hub->now_us),
	    .channel = channel,
	    .epoch = history_position(hub_history(hub->hub)).epoch,
	    .upto_seq = UINT64_MAX,
	};
}

enum fanfare_result
fanfare_history_range(struct fanfare_hub *hub, struct fanfare_bytes channel,
    struct fanfare_position from, struct fanfare_position to, uint64_t most, uint64_t now_us,
    fanfare_history_reader *read, void *arg, uint64_t *count)
{
	enum fanfare_result result = read != NULL ? begin(hub, channel, now_us) : FANFARE_INVALID;
	struct reading r;

	if (result != FANFARE_OK)
		return result;
	r = reading_of(hub, channel);
	r.most = most;
	if (from.epoch > r.epoch || to.epoch < r.epoch || (to.epoch == r.epoch && to.seq == 0))
		r.ring = NULL;
	if (from.epoch == r.epoch && from.seq > 0)
		r.after_seq = from.seq - 1;
	if (to.epoch == r.epoch)
		r.upto_seq = to.seq;
	return finish(hub, &r, read, arg, count);
}

enum fanfare_result
fanfare_history_last(struct fanfare_hub *hub, struct fanfare_bytes channel, uint64_t n,
    uint64_t now_us, fanfare_history_reader *read, void *arg, uint64_t *count)
{
	enum fanfare_result result = read != NULL ? begin(hub, channel, now_us) : FANFARE_INVALID;
	struct reading r;

	if (result != FANFARE_OK)
		return result;
	r = reading_of(hub, channel);
	if (n == 0)
		r.ring = NULL;
	if (r.ring != NULL)
		r.after_seq = ring_seq_before_last(r.ring, n);
	return finish(hub, &r, read, arg, count);
}

enum fanfare_result
fanfare_history_delete(
    struct fanfare_hub *hub, struct fanfare_bytes channel, uint64_t now_us, uint64_t *count)
{
	enum fanfare_result result = begin(hub, channel, now_us);
	uint64_t n;

	if (result != FANFARE_OK)
		return result;
	n = hub_delete_history(hub->hub, core_slice(channel), hub->now_us);
	core_leave(hub);
	if (count != NULL)
		*count = n;
	return FANFARE_OK;
}

struct fanfare_position
fanfare_newest_position(const struct fanfare_hub *hub)
{
	struct hub_position position = {0, 0};

	if (hub != NULL)
		position = history_position(hub_history(hub->hub));
	return (struct fanfare_position){position.epoch, position.seq};
}
