#include "config.h"

#include "link/testing_engine.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "resp/writer.h"

#define HOLE 4294967296 /* seqs that are left out when another process gives them */

static void
copy(char *to, size_t room, struct slice from)
{
	ck_assert_uint_lt(from.len, room);
	memcpy(to, from.ptr, from.len);
	to[from.len] = '\0';
}

static uint64_t
number_of(struct slice text)
{
	uint64_t number = 0;

	ck_assert(slice_to_u64(text, &number));
	return number;
}

static void
put_position(struct buffer *reply, uint64_t epoch, uint64_t seq)
{
	char text[POSITION_TEXT_MAX];
	size_t len = position_print(text, (struct hub_position){epoch, seq});

	resp_put_bulk(reply, (struct slice){text, len});
}

static uint64_t
max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static struct testing_channel *
find(struct testing_engine *engine, struct slice name)
{
	for (size_t i = 0; i < TESTING_CHANNELS; i++) {
		struct testing_channel *channel = &engine->channels[i];

		if ((channel->is_known || channel->has_stream) && slice_is(name, channel->name))
			return channel;
	}
	return NULL;
}

static struct testing_channel *
find_or_add(struct testing_engine *engine, struct slice name)
{
	struct testing_channel *channel = find(engine, name);

	for (size_t i = 0; channel == NULL && i < TESTING_CHANNELS; i++)
		if (!engine->channels[i].is_known && !engine->channels[i].has_stream) {
			channel = &engine->channels[i];
			memset(channel, 0, sizeof(*channel));
			copy(channel->name, sizeof(channel->name), name);
		}
	ck_assert_ptr_nonnull(channel);
	return channel;
}

/* The scripts; argv is behind the keys. */

static bool
is_same(const struct testing_engine *engine, const struct slice *argv)
{
	uint64_t seq = number_of(argv[2]);
	bool same = engine->exists && engine->epoch == number_of(argv[1]) && engine->seq >= seq;

	for (size_t i = 0; i < engine->holes_count; i++)
		same = same && (seq <= engine->holes[i] || seq >= engine->holes[i] + HOLE);
	return same;
}

/* The numbers of the channels begin anew, too. */
static void
begin(struct testing_engine *engine, const struct slice *argv)
{
	engine->epoch = max(engine->now_ms * 1000, max(engine->epoch, number_of(argv[1])) + 1);
	engine->floor = engine->seq;
	for (size_t i = 0; i < TESTING_CHANNELS; i++)
		engine->channels[i].is_known = false;
	if (!engine->exists)
		copy(engine->secret, sizeof(engine->secret), argv[4]);
	engine->exists = true;
}

static void
take_over(struct testing_engine *engine)
{
	if (engine->holes_count == TESTING_HOLES)
		memmove(engine->holes, engine->holes + 1,
		    --engine->holes_count * sizeof(*engine->holes));
	engine->holes[engine->holes_count++] = engine->seq;
	engine->seq += HOLE;
	engine->quiet_ms = engine->now_ms + ENGINE_QUIET_US / 1000;
}

static void
put_holes(const struct testing_engine *engine, struct buffer *reply)
{
	struct buffer text = {0};

	for (size_t i = 0; i < engine->holes_count; i++)
		buffer_appendf(&text, "%s%" PRIu64 "-%" PRIu64, i > 0 ? " " : "",
		    engine->holes[i] + 1, engine->holes[i] + HOLE - 1);
	resp_put_bulk(reply, buffer_slice(&text));
	buffer_release(&text);
}

static void
greet(struct testing_engine *engine, const struct slice *argv, struct buffer *reply)
{
	bool same = is_same(engine, argv);

	if (!same && (!engine->exists || engine->epoch == number_of(argv[1])))
		begin(engine, argv);
	if (engine->seen_run[0] != '\0' && !slice_is(argv[0], engine->seen_run))
		take_over(engine);
	copy(engine->seen_run, sizeof(engine->seen_run), argv[0]);
	engine->seq = max(engine->seq, number_of(argv[3]));
	resp_put_array(reply, 6);
	resp_put_bulk_uint(reply, engine->epoch);
	resp_put_bulk_uint(reply, engine->seq);
	resp_put_int(reply, same);
	resp_put_bulk_str(reply, engine->secret);
	put_holes(engine, reply);
	resp_put_bulk_uint(reply,
	    engine->quiet_ms > engine->now_ms ? (engine->quiet_ms - engine->now_ms) * 1000 : 0);
}

static void
append(struct testing_engine *engine, struct testing_channel *channel, const struct slice *argv)
{
	struct testing_entry *entry = &channel->entries[channel->count];
	uint64_t size = number_of(argv[2]);

	ck_assert_uint_lt(size, TESTING_STREAM);
	channel->has_stream = true;
	*entry = (struct testing_entry){.epoch = engine->epoch,
	    .seq = engine->seq,
	    .number = channel->number,
	    .at_ms = engine->now_ms};
	copy(entry->payload, sizeof(entry->payload), argv[1]);
	channel->count++;
	while (channel->count > size)
		memmove(channel->entries, channel->entries + 1,
		    --channel->count * sizeof(*channel->entries));
}

static void
publish(struct testing_engine *engine, const struct slice *argv, struct buffer *reply)
{
	struct testing_channel *channel = find_or_add(engine, argv[0]);
	struct buffer frame = {0};
	uint64_t seq = ++engine->seq;

	if (!channel->is_known) {
		channel->number = channel->start = seq * 2 - 1;
		channel->mark_seq = 0;
	}
	channel->is_known = true;
	channel->number++;
	channel->seq = seq;
	if (slice_is(argv[2], "0")) {
		channel->has_stream = false;
		channel->count = 0;
	} else {
		append(engine, channel, argv);
	}
	buffer_append(&frame, ENGINE_FRAME, ENGINE_FRAME_LEN);
	buffer_appendf(&frame, "%s %" PRIu64 "-%" PRIu64 " %" PRIu64 " ", engine->secret,
	    engine->epoch, seq, channel->number);
	buffer_append_slice(&frame, argv[1]);
	engine->publish(engine->arg, argv[0], buffer_slice(&frame));
	buffer_release(&frame);
	if (slice_is(argv[2], "0"))
		resp_put_int(reply, 1);
	else
		put_position(reply, engine->epoch, seq);
}

static void
put_entry(
    const struct testing_engine *engine, const struct testing_entry *entry, struct buffer *reply)
{
	resp_put_array(reply, 4);
	put_position(reply, entry->epoch, entry->seq);
	resp_put_bulk_uint(reply, entry->number);
	resp_put_bulk_uint(reply, engine->now_ms - entry->at_ms);
	resp_put_bulk_str(reply, entry->payload);
}

static void
load(struct testing_engine *engine, const struct slice *argv, struct buffer *reply)
{
	const struct testing_channel *channel = find(engine, argv[0]);
	uint64_t most = number_of(argv[2]), after = number_of(argv[1]);
	size_t count = channel != NULL ? channel->count : 0, first = count;
	struct buffer newest = {0};

	most = engine->load_max > 0 ? engine->load_max : most;
	while (first > 0 && count - first < most &&
	       channel->entries[first - 1].epoch == engine->epoch &&
	       channel->entries[first - 1].seq > after)
		first--;
	resp_put_array(reply, 6 + count - first);
	resp_put_bulk(reply, argv[0]);
	resp_put_bulk(reply, argv[1]);
	resp_put_bulk_uint(reply, engine->epoch);
	resp_put_bulk_uint(reply, engine->seq);
	resp_put_bulk_uint(reply, engine->floor);
	if (channel != NULL && channel->is_known)
		buffer_appendf(&newest, "%" PRIu64 " %" PRIu64 " %" PRIu64, channel->number,
		    channel->seq, channel->start);
	else
		buffer_append_str(&newest, "0 0 0");
	if (channel != NULL && channel->is_known && channel->mark_seq > 0)
		buffer_appendf(&newest, " %" PRIu64 " %" PRIu64 " %" PRIu64, channel->mark_number,
		    channel->mark_last, channel->mark_seq);
	resp_put_bulk(reply, buffer_slice(&newest));
	buffer_release(&newest);
	for (size_t i = count; i > first; i--)
		put_entry(engine, &channel->entries[i - 1], reply);
}

static void
delete_kept(struct testing_engine *engine, struct slice name, struct buffer *reply)
{
	struct testing_channel *channel = find(engine, name);
	struct buffer frame = {0};

	if (channel == NULL || !channel->is_known) {
		resp_put_int(reply, 1);
		return;
	}
	channel->mark_seq = ++engine->seq;
	channel->mark_number = channel->number;
	channel->mark_last = channel->seq;
	channel->has_stream = true;
	channel->count = 0;
	buffer_append(&frame, ENGINE_FRAME, ENGINE_FRAME_LEN);
	buffer_appendf(&frame, "%s %" PRIu64 "-%" PRIu64 " %" PRIu64 "d ", engine->secret,
	    engine->epoch, engine->seq, channel->number);
	engine->publish(engine->arg, name, buffer_slice(&frame));
	buffer_release(&frame);
	put_position(reply, engine->epoch, engine->seq);
}

static void
sweep(struct testing_engine *engine)
{
	engine->sweeps = false;
	for (size_t i = 0; i < TESTING_CHANNELS; i++) {
		struct testing_channel *channel = &engine->channels[i];

		if (channel->is_known && !channel->has_stream) {
			engine->floor = max(engine->floor, channel->seq);
			channel->is_known = false;
		}
	}
}

static void
check(struct testing_engine *engine, const struct slice *argv, size_t count, struct buffer *reply)
{
	struct buffer items = {0};
	size_t differ = 0;

	for (size_t i = 0; i < count; i += 2) {
		const struct testing_channel *channel = find(engine, argv[i]);
		uint64_t number = channel != NULL && channel->is_known ? channel->number : 0;

		if (number_of(argv[i + 1]) == number)
			continue;
		resp_put_bulk(&items, argv[i]);
		resp_put_bulk_uint(&items, number);
		differ++;
	}
	resp_put_array(reply, 2 + 2 * differ);
	resp_put_bulk_uint(reply, engine->epoch);
	resp_put_bulk_str(reply, engine->secret);
	buffer_append_slice(reply, buffer_slice(&items));
	buffer_release(&items);
	if (engine->sweeps)
		sweep(engine);
}

/* The text of the script says which one it is. */
static void
load_script(struct testing_engine *engine, struct slice text, struct buffer *reply)
{
	static const char *const marks[ENGINE_SCRIPTS] = {
	    [ENGINE_GREET] = "4294967296",
	    [ENGINE_PUBLISH] = "'XADD'",
	    [ENGINE_LOAD] = "'XREVRANGE'",
	    [ENGINE_CHECK] = "'HSCAN'",
	    [ENGINE_CLAIM] = "'ZADD'",
	    [ENGINE_DELETE] = "'d '",
	};
	char sha[41] = "";

	for (int i = 0; i < ENGINE_SCRIPTS; i++)
		if (memmem(text.ptr, text.len, marks[i], strlen(marks[i])) != NULL) {
			memset(sha, 'a' + i, 40);
			engine->has_scripts[i] = true;
		}
	ck_assert_uint_eq(strlen(sha), 40);
	resp_put_bulk_str(reply, sha);
}

enum engine_script
testing_engine_script(const struct slice *args, size_t count)
{
	ck_assert_uint_ge(count, 3);
	ck_assert_uint_eq(args[1].len, 40);
	ck_assert(args[1].ptr[0] >= 'a' && args[1].ptr[0] < 'a' + ENGINE_SCRIPTS);
	return (enum engine_script)(args[1].ptr[0] - 'a');
}

static void
call(struct testing_engine *engine, const struct slice *args, size_t count, struct buffer *reply)
{
	static const size_t keys_of[ENGINE_SCRIPTS] = {2, 3, 3, 3, 4, 3};
	enum engine_script script = testing_engine_script(args, count);
	size_t keys = (size_t)number_of(args[2]);
	const struct slice *argv = args + 3 + keys;

	ck_assert_uint_eq(keys, keys_of[script]);
	ck_assert_uint_ge(count, 3 + keys);
	if (!engine->has_scripts[script]) {
		resp_put_error(reply, SLICE("NOSCRIPT No matching script. Please use EVAL."));
		return;
	}
	if (!engine->exists && script != ENGINE_GREET) {
		resp_put_error(reply, SLICE("CLUSTERDOWN The history of the upstream is gone"));
		return;
	}
	switch (script) {
	case ENGINE_GREET:
		ck_assert_uint_eq(count, 3 + keys + 5);
		greet(engine, argv, reply);
		return;
	case ENGINE_PUBLISH:
		ck_assert_uint_eq(count, 3 + keys + 4);
		publish(engine, argv, reply);
		return;
	case ENGINE_LOAD:
		ck_assert_uint_eq(count, 3 + keys + 4);
		load(engine, argv, reply);
		return;
	case ENGINE_CHECK:
		ck_assert_uint_eq((count - 3 - keys) % 2, 0);
		check(engine, argv, count - 3 - keys, reply);
		return;
	case ENGINE_CLAIM:
		ck_assert_uint_ge(count, 3 + keys + 4);
		testing_claims_execute(&engine->claims, args + 5, argv, count - 3 - keys,
		    engine->now_ms / 1000, reply);
		return;
	case ENGINE_DELETE:
		ck_assert_uint_eq(count, 3 + keys + 2);
		delete_kept(engine, argv[0], reply);
	}
}

bool
testing_engine_execute(
    struct testing_engine *engine, const struct slice *args, size_t count, struct buffer *reply)
{
	if (slice_is(args[0], "SCRIPT") && count == 3 && slice_is(args[1], "LOAD"))
		load_script(engine, args[2], reply);
	else if (slice_is(args[0], "EVALSHA"))
		call(engine, args, count, reply);
	else
		return false;
	return true;
}

void
testing_engine_init(struct testing_engine *engine, const char *run)
{
	memset(engine, 0, sizeof(*engine));
	engine->now_ms = 1000;
	testing_engine_restart(engine, run);
}

void
testing_engine_restart(struct testing_engine *engine, const char *run)
{
	copy(engine->run, sizeof(engine->run), slice_of(run));
	memset(engine->has_scripts, 0, sizeof(engine->has_scripts));
}

void
testing_engine_flush(struct testing_engine *engine)
{
	engine->exists = false;
	engine->epoch = engine->seq = engine->floor = 0;
	engine->seen_run[0] = '\0';
	memset(engine->channels, 0, sizeof(engine->channels));
	engine->holes_count = 0;
	engine->quiet_ms = 0;
	engine->secret[0] = '\0';
	memset(&engine->claims, 0, sizeof(engine->claims));
}

void
testing_engine_expire(struct testing_engine *engine, const char *name)
{
	struct testing_channel *channel = testing_engine_find(engine, name);

	if (channel == NULL)
		return;
	channel->has_stream = false;
	channel->count = 0;
}

struct testing_channel *
testing_engine_find(struct testing_engine *engine, const char *name)
{
	return find(engine, slice_of(name));
}
