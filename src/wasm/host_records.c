#include "config.h"

#include <string.h>

#include "wasm/host.h"
#include "wasm/host_state.h"

/* A batch ends behind the record that exceeds this, because each of its messages keeps a copy of
 * the arena alive in the host. */
#define ARENA_BYTES 16384

/* The longest capacity that is kept for the next batch. */
#define KEPT_BYTES 65536

/* Messages that one subscriber gets before the next one has its turn. A batch may contain several
 * shares of one subscriber. The host keeps them if the subscriber is paused meanwhile. */
#define SHARE 64

void
host_begin_records(struct host *host)
{
	buffer_clear(&host->records);
	buffer_clear(&host->arena);
	buffer_shrink(&host->records, KEPT_BYTES);
	buffer_shrink(&host->arena, KEPT_BYTES);
	host->messages = 0;
	host->batch++;
	if (host->batch == 0) { /* 2^32 batches ago: entries of then would be taken for new ones */
		memset(host->seen, 0, sizeof(host->seen));
		host->batch = 1;
	}
}

size_t
host_end_records(struct host *host)
{
	host->view.records = (struct host_record *)(void *)host->records.ptr;
	host->view.record_count = host->records.len / sizeof(struct host_record);
	host->view.arena = host->arena.ptr;
	host->view.arena_len = host->arena.len;
	return host->view.record_count;
}

static void
record(struct host *host, uint32_t slot, enum host_kind kind, uint32_t value, uint32_t high)
{
	struct host_record r = {slot, kind, value, high};

	buffer_append(&host->records, &r, sizeof(r));
}

static uint32_t
put_block(struct host *host, const void *frame, size_t len)
{
	static const char padding[8];
	size_t at = host->arena.len;

	buffer_append(&host->arena, frame, len);
	buffer_append(&host->arena, padding, -len % 8);
	return (uint32_t)at;
}

/* A message that does not come from an outbox. */
static void
record_message(struct host *host, uint32_t slot, const struct fanfare_message *m)
{
	struct host_block block = {
	    .epoch = m->position.epoch,
	    .seq = m->position.seq,
	    .channel_len = (uint32_t)m->channel.len,
	    .pattern_len = HOST_BY_NAME,
	    .payload_len = (uint32_t)m->payload.len,
	};
	static const char padding[8];

	record(host, slot, HOST_MESSAGE, (uint32_t)host->arena.len, host->messages++);
	buffer_append(&host->arena, &block, sizeof(block));
	if (m->channel.len > 0)
		buffer_append(&host->arena, m->channel.data, m->channel.len);
	if (m->payload.len > 0)
		buffer_append(&host->arena, m->payload.data, m->payload.len);
	buffer_append(&host->arena, padding, -host->arena.len % 8);
}

void
host_record_name(struct host *host, uint32_t slot, struct fanfare_bytes name)
{
	struct fanfare_message message = {.channel = name};

	record_message(host, slot, &message);
}

/* A frame is copied to the arena for the first of its subscribers. */
static void
record_frame(struct host_subscriber *hs, uint32_t serial, const char *frame, size_t len)
{
	struct host *host = hs->host;
	struct host_seen *seen = &host->seen[serial % HOST_SEEN];

	if (seen->batch != host->batch || seen->serial != serial)
		*seen = (struct host_seen){
		    serial, host->batch, put_block(host, frame, len), host->messages++};
	record(host, hs->slot, HOST_MESSAGE, seen->block, seen->index);
}

/* Records the frame at `at` and returns its length. */
static size_t
take_frame(struct host_subscriber *hs, const char *at)
{
	struct host_block block;
	size_t len;

	memcpy(&block, at, sizeof(block));
	if (block.serial == 0) {
		record(hs->host, hs->slot, HOST_MISSED, (uint32_t)block.seq,
		    (uint32_t)(block.seq >> 32));
		return sizeof(block);
	}
	len = sizeof(block) + block.channel_len + block.payload_len;
	if (block.pattern_len != HOST_BY_NAME)
		len += block.pattern_len;
	record_frame(hs, block.serial, at, len);
	return len;
}

/* The whole frames at the front of the outbox are in one piece, at most `most` of them. Returns
 * their number; 0: there is none. */
static int
take_piece(struct host_subscriber *hs, int most)
{
	struct fanfare_bytes piece = {NULL, 0};
	size_t count = 1, len = 0;
	int taken = 0;

	if (fanfare_subscriber_peek(hs->s, &piece, &count) != FANFARE_OK) {
		hs->has_output = false;
		hs->is_told = false;
		return 0;
	}
	while (
	    taken < most && len < piece.len && (taken == 0 || hs->host->arena.len < ARENA_BYTES)) {
		len += take_frame(hs, piece.data + len);
		taken++;
	}
	(void)!fanfare_subscriber_consume(hs->s, len);
	return taken;
}

static void
take_share(struct host_subscriber *hs)
{
	int taken = 0, more;

	do {
		more = take_piece(hs, SHARE - taken);
		taken += more;
	} while (more > 0 && taken < SHARE && hs->host->arena.len < ARENA_BYTES);
	if (more > 0)
		host_list(hs);
}

static void
take(struct host_subscriber *hs)
{
	if (hs->has_output && hs->flows)
		take_share(hs);
	if (hs->has_output && !hs->flows && !hs->is_told) {
		record(hs->host, hs->slot, HOST_READABLE, 0, 0);
		hs->is_told = true;
	}
	if (hs->end != 0 && !(hs->has_output && hs->flows) && hs->end_told <= hs->flows) {
		record(hs->host, hs->slot, (enum host_kind)hs->end, 0, 0);
		hs->end_told = hs->flows ? 2 : 1;
	}
}

size_t
host_drain(struct host *host, size_t most)
{
	struct host_subscriber *hs;

	host_begin_records(host);
	while ((hs = TAILQ_FIRST(&host->listed)) != NULL && host->arena.len < ARENA_BYTES &&
	       host->records.len < most * sizeof(struct host_record)) {
		host_unlist(hs);
		take(hs);
	}
	return host_end_records(host);
}

size_t
host_next(struct host_subscriber *hs)
{
	host_begin_records(hs->host);
	(void)take_piece(hs, 1);
	return host_end_records(hs->host);
}

static bool
record_kept(void *arg, const struct fanfare_message *message)
{
	record_message(arg, 0, message);
	return true;
}

int
host_next_channel(struct host *host, int first, size_t after_len)
{
	struct fanfare_bytes after = host_bytes(host, 0, after_len);
	struct fanfare_bytes name;
	enum fanfare_result result;

	if (first != 0)
		after = (struct fanfare_bytes){NULL, 0};
	result = fanfare_next_channel(host->hub, after, &name);
	if (result != FANFARE_OK)
		return (int)result;
	host_begin_records(host);
	host_record_name(host, 0, name);
	host_end_records(host);
	return (int)result;
}

int
host_history_last(struct host *host, size_t channel_len, double n, double now_us)
{
	enum fanfare_result result;

	host_begin_records(host);
	result = fanfare_history_last(host->hub, host_bytes(host, 0, channel_len), host_time(n),
	    host_time(now_us), record_kept, host, NULL);
	host_end_records(host);
	return (int)result;
}

int
host_history_range(
    struct host *host, size_t channel_len, size_t from_len, size_t to_len, double n, double now_us)
{
	struct fanfare_bytes channel = host_bytes(host, 0, channel_len);
	struct fanfare_position from, to;
	enum fanfare_result result =
	    fanfare_position_parse(host_bytes(host, channel_len, from_len), &from);

	if (result == FANFARE_OK)
		result =
		    fanfare_position_parse(host_bytes(host, channel_len + from_len, to_len), &to);
	if (result != FANFARE_OK)
		return (int)result;
	host_begin_records(host);
	result = fanfare_history_range(
	    host->hub, channel, from, to, host_time(n), host_time(now_us), record_kept, host, NULL);
	host_end_records(host);
	return (int)result;
}

int
host_history_delete(struct host *host, size_t channel_len, double now_us)
{
	uint64_t count = 0;
	int result = (int)fanfare_history_delete(
	    host->hub, host_bytes(host, 0, channel_len), host_time(now_us), &count);

	host->view.numbers[0] = (double)count;
	return result;
}
