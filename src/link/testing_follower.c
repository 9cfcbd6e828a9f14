#include "config.h"

#include "link/testing_follower.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "pubsub/history.h"
#include "pubsub/wire_form.h"

#define MESSAGES_MAX 200000 /* of a channel */

const char *
truths_name(int channel)
{
	static const char *const names[TRUTHS_CHANNELS] = {"a", "b", "c", "d", "e", "f"};

	return names[channel];
}

int
truths_channel(struct slice name)
{
	ck_assert_uint_eq(name.len, 1);
	ck_assert(name.ptr[0] >= 'a' && name.ptr[0] < 'a' + TRUTHS_CHANNELS);
	return name.ptr[0] - 'a';
}

static uint64_t
truths_id(struct slice payload)
{
	uint64_t id = 0;

	ck_assert(slice_to_u64(payload, &id));
	return id;
}

void
truths_init(struct truths *truths)
{
	*truths = (struct truths){0};
	for (int c = 0; c < TRUTHS_CHANNELS; c++)
		truths->channels[c].messages =
		    xcalloc(MESSAGES_MAX, sizeof(*truths->channels[c].messages));
}

void
truths_release(struct truths *truths)
{
	for (int c = 0; c < TRUTHS_CHANNELS; c++)
		xfree(truths->channels[c].messages);
}

void
truths_hear(struct truths *truths, int channel, uint64_t seq, struct slice frame)
{
	const char *space = memrchr(frame.ptr, ' ', frame.len);
	struct slice payload = {space + 1, (size_t)(frame.ptr + frame.len - space - 1)};
	size_t at = truths->channels[channel].count;

	if (space[-1] == 'd') { /* a mark */
		truths->channels[channel].deleted = at;
		return;
	}
	truths->channels[channel].count++;
	ck_assert_uint_lt(at, MESSAGES_MAX);
	truths->channels[channel].messages[at] = (struct truth){seq, truths_id(payload)};
}

size_t
truths_behind(const struct truths *truths, int channel, uint64_t seq)
{
	size_t i = truths->channels[channel].count;

	while (i > truths->channels[channel].begin &&
	       truths->channels[channel].messages[i - 1].seq > seq)
		i--;
	return i;
}

void
follower_subscribe(struct follower *hub, int channel)
{
	if (hub->channels[channel].is_member)
		return;
	hub->channels[channel].is_member = true;
	hub->channels[channel].has_hole = false;
	hub->channels[channel].heard = truths_behind(hub->truths, channel, hub->newest.seq);
}

void
follower_mark_gap(struct follower *hub, int channel)
{
	size_t newest = truths_behind(hub->truths, channel, hub->newest.seq);

	hub->channels[channel].has_hole = false;
	if (hub->channels[channel].heard < newest)
		hub->channels[channel].heard = newest;
}

void
follower_assert_settled(const struct follower *hub, int channel)
{
	size_t count = hub->truths->channels[channel].count;

	ck_assert(hub->channels[channel].is_member && !hub->channels[channel].has_hole);
	ck_assert_uint_eq(hub->channels[channel].next, count);
	ck_assert_uint_eq(hub->channels[channel].heard, count);
	ck_assert_uint_ge(hub->channels[channel].first, hub->truths->channels[channel].deleted);
}

/* What a node's hub is told */

static uint64_t
on_newest_seq(void *arg)
{
	return ((const struct follower *)arg)->newest.seq;
}

static bool
on_has_history(void *arg, struct slice name)
{
	return ((const struct follower *)arg)->channels[truths_channel(name)].has_ring;
}

static bool
on_keeps(void *arg, struct slice name, struct engine_limits *limits)
{
	(void)arg;
	(void)name;
	*limits = (struct engine_limits){1000, 1 << 20};
	return true;
}

static uint64_t
on_random(void *arg)
{
	((struct follower *)arg)->randoms++;
	return ((const struct follower *)arg)->randoms;
}

static void
on_begins(void *arg, struct hub_position position)
{
	struct follower *hub = arg;

	ck_assert_uint_ge(position.seq, hub->newest.seq);
	hub->newest = position;
	for (int c = 0; c < TRUTHS_CHANNELS; c++) {
		hub->channels[c].is_loaded = hub->channels[c].has_ring = false;
		hub->channels[c].has_hole = hub->channels[c].is_member;
		hub->channels[c].heard = truths_behind(hub->truths, c, position.seq);
	}
	hub->anews++;
}

static void
on_moved(void *arg, uint64_t seq)
{
	struct follower *hub = arg;

	ck_assert_uint_gt(seq, hub->newest.seq);
	hub->newest.seq = seq;
}

static void
on_loaded(void *arg, const struct hub_loaded *loaded)
{
	struct follower *hub = arg;
	int c = truths_channel(loaded->channel);
	size_t next = truths_behind(hub->truths, c, loaded->trimmed_seq);

	ck_assert(!hub->channels[c].is_loaded);
	ck_assert_uint_le(loaded->trimmed_seq, hub->newest.seq);
	hub->channels[c].first = next;
	for (size_t i = 0; i < loaded->count; i++, next++) {
		ck_assert_uint_lt(next, hub->truths->channels[c].count);
		ck_assert_uint_eq(
		    loaded->messages[i].seq, hub->truths->channels[c].messages[next].seq);
		ck_assert_uint_eq(truths_id(loaded->messages[i].payload),
		    hub->truths->channels[c].messages[next].id);
		ck_assert_uint_le(loaded->messages[i].seq, hub->newest.seq);
	}
	ck_assert_uint_eq(loaded->newest_seq,
	    loaded->count > 0 ? loaded->messages[loaded->count - 1].seq : loaded->trimmed_seq);
	hub->channels[c].is_loaded = hub->channels[c].has_ring = true;
	hub->channels[c].next = next;
}

static void
on_message(void *arg, struct slice name, struct slice payload, uint64_t seq, bool is_kept)
{
	struct follower *hub = arg;
	int c = truths_channel(name);
	size_t at = truths_behind(hub->truths, c, seq - 1);

	ck_assert_uint_gt(seq, hub->newest.seq);
	ck_assert_uint_lt(at, hub->truths->channels[c].count);
	ck_assert_uint_eq(hub->truths->channels[c].messages[at].seq, seq);
	ck_assert_uint_eq(hub->truths->channels[c].messages[at].id, truths_id(payload));
	if (is_kept) {
		ck_assert(hub->channels[c].is_loaded);
		ck_assert_uint_eq(hub->channels[c].next, at);
		hub->channels[c].next++;
	}
	if (!hub->channels[c].is_member)
		return;
	ck_assert_uint_ge(at, hub->channels[c].heard);
	if (at > hub->channels[c].heard)
		hub->channels[c].has_hole = true;
	hub->channels[c].heard = at + 1;
}

static void
on_deleted(void *arg, struct slice name, uint64_t seq)
{
	struct follower *hub = arg;
	int c = truths_channel(name);

	ck_assert_uint_gt(seq, hub->newest.seq);
	ck_assert(hub->channels[c].is_loaded);
	ck_assert_uint_eq(hub->channels[c].next, truths_behind(hub->truths, c, seq));
	hub->channels[c].first = hub->channels[c].next;
	hub->deletions++;
}

static void
on_missed(void *arg, struct slice name, uint64_t seq, uint64_t count)
{
	struct follower *hub = arg;
	int c = truths_channel(name);
	size_t next = truths_behind(hub->truths, c, seq);

	ck_assert(hub->channels[c].is_loaded);
	ck_assert_uint_le(seq, hub->newest.seq);
	ck_assert_uint_ge(next, hub->channels[c].next);
	if (count != WIRE_MISSED_UNKNOWN)
		ck_assert_uint_eq(next - hub->channels[c].next, count);
	hub->exact += count != WIRE_MISSED_UNKNOWN;
	hub->unknown += count == WIRE_MISSED_UNKNOWN;
	hub->channels[c].first = hub->channels[c].next = next;
	if (hub->channels[c].heard < next)
		hub->channels[c].heard = next;
}

static void
on_forgotten(void *arg, struct slice name)
{
	struct follower *hub = arg;

	hub->channels[truths_channel(name)].is_loaded = false;
	hub->channels[truths_channel(name)].has_ring = false;
}

static void
on_holes(void *arg, const struct history_hole *holes, size_t count)
{
	const struct follower *hub = arg;

	for (size_t i = 0; i < count; i++) /* it goes on behind them, if it goes on */
		ck_assert(hub != NULL && holes[i].first <= holes[i].last);
}

const struct engine_ops follower_ops = {
    .holes = on_holes,
    .keeps = on_keeps,
    .random = on_random,
    .has_history = on_has_history,
    .newest_seq = on_newest_seq,
    .begins = on_begins,
    .moved = on_moved,
    .loaded = on_loaded,
    .message = on_message,
    .deleted = on_deleted,
    .missed = on_missed,
    .forgotten = on_forgotten,
};
