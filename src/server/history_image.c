#include "config.h"

#include "server/history_image.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "pubsub/channel_lines.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_image.h"
#include "pubsub/hub_options.h"
#include "resp/writer.h"
#include "server/core.h"
#include "server/history_epoch.h"
#include "server/pause.h"

/* Pieces of this size are handed to the sink. */
#define PIECE_BYTES 262144

#define IMAGE_VERSION "1"

struct image_writer {
	struct buffer commands;
	bool (*sink)(void *arg, struct slice commands);
	void *arg;
	const struct server *server;
	bool ok;
};

static bool
flush(struct image_writer *w, size_t above)
{
	if (w->commands.len > above) {
		w->ok = w->ok && w->sink(w->arg, buffer_slice(&w->commands));
		buffer_clear(&w->commands);
	}
	return w->ok;
}

static void
begin(struct image_writer *w, size_t argc, const char *name)
{
	resp_put_array(&w->commands, argc);
	resp_put_bulk_str(&w->commands, name);
}

/* Positions and ages are below 2^63. */
static void
put(struct image_writer *w, uint64_t number)
{
	resp_put_bulk_int(&w->commands, number < INT64_MAX ? (int64_t)number : INT64_MAX);
}

static bool
put_lines(struct image_writer *w)
{
	const struct channel_lines *lines = hub_channel_lines(w->server->hub);
	const struct channel_line *line;
	struct buffer value = {0};

	for (line = channel_lines_first(lines); line != NULL; line = channel_lines_next(line)) {
		size_t options = (size_t)__builtin_popcount(line->set);

		begin(w, 2 + options * 2, "FANFARED.LINE");
		resp_put_bulk(&w->commands, line->glob);
		for (size_t i = 0; i < CHANNEL_OPTIONS; i++) {
			if ((line->set & 1U << i) == 0)
				continue;
			buffer_clear(&value);
			channel_option_write(&line->values, i, &value);
			resp_put_bulk_str(&w->commands, channel_option_at(i)->name);
			resp_put_bulk(&w->commands, buffer_slice(&value));
		}
		if (!flush(w, PIECE_BYTES))
			break;
	}
	buffer_release(&value);
	return w->ok;
}

static bool
put_head(void *arg, const struct hub_image_head *head)
{
	struct image_writer *w = arg;

	begin(w, 6, "FANFARED.HISTORY");
	resp_put_bulk_str(&w->commands, IMAGE_VERSION);
	put(w, head->newest.epoch);
	put(w, head->newest.seq);
	put(w, head->forgotten_seq);
	put(w, clock_wall_us());
	return put_lines(w);
}

static bool
put_ring(void *arg, const struct hub_image_ring *ring)
{
	struct image_writer *w = arg;

	begin(w, 8, "FANFARED.RING");
	resp_put_bulk(&w->commands, ring->channel);
	put(w, ring->ttl_s);
	put(w, ring->appended);
	put(w, ring->messages);
	put(w, ring->trimmed_seq);
	put(w, ring->newest_seq);
	put(w, ring->touched_age_us);
	return flush(w, PIECE_BYTES);
}

static bool
put_message(void *arg, const struct hub_image_message *message)
{
	struct image_writer *w = arg;

	begin(w, 4, "FANFARED.KEPT");
	put(w, message->seq);
	put(w, message->age_us);
	resp_put_bulk(&w->commands, message->payload);
	return flush(w, PIECE_BYTES);
}

bool
server_history_write(
    const struct server *server, bool (*sink)(void *arg, struct slice commands), void *arg)
{
	struct image_writer w = {.sink = sink, .arg = arg, .server = server, .ok = true};
	const struct hub_image_sink out = {put_head, put_ring, put_message, &w};

	if (hub_image_write(server->hub, &out, clock_mono_us())) {
		begin(&w, 1, "FANFARED.END");
		(void)!flush(&w, 0);
	}
	buffer_release(&w.commands);
	return w.ok;
}

enum image_state { IMAGE_EMPTY, IMAGE_OPEN, IMAGE_WHOLE, IMAGE_BROKEN };

struct history_image_reader {
	struct server *server;
	enum image_state state;
	struct hub_image_reader hub;
	struct channel_lines *lines; /* owned; as they were */
};

struct history_image_reader *
history_image_begin(struct server *server)
{
	struct history_image_reader *r = xcalloc(1, sizeof(*r));

	r->server = server;
	r->lines = channel_lines_new();
	return r;
}

/* Reads the arguments from the given one on as numbers. */
static bool
numbers(const struct slice *argv, size_t argc, size_t from, uint64_t *out)
{
	for (size_t i = from; i < argc; i++)
		if (!slice_to_u64(argv[i], &out[i - from]))
			return false;
	return true;
}

static bool
read_head(struct history_image_reader *r, const struct slice *argv, size_t argc)
{
	uint64_t n[4], now_us = clock_wall_us();
	struct hub_image_head head;

	if (r->state != IMAGE_EMPTY || argc != 6 || !slice_is(argv[1], IMAGE_VERSION) ||
	    !numbers(argv, argc, 2, n))
		return false;
	head = (struct hub_image_head){{n[0], n[1]}, n[2]};
	r->state = IMAGE_OPEN;
	return hub_image_begin(
	    &r->hub, r->server->hub, &head, clock_mono_us(), now_us > n[3] ? now_us - n[3] : 0);
}

static bool
read_line(struct history_image_reader *r, const struct slice *argv, size_t argc)
{
	struct channel_error error;

	return argc > 2 && channel_lines_add(r->lines, argv[1], argv + 2, argc - 2, NULL, &error);
}

static bool
read_ring(struct history_image_reader *r, const struct slice *argv, size_t argc)
{
	struct hub_image_ring ring;
	uint64_t n[6];

	if (argc != 8 || !numbers(argv, argc, 2, n) || n[0] > UINT32_MAX || n[1] > UINT32_MAX ||
	    n[2] > UINT32_MAX)
		return false;
	ring = (struct hub_image_ring){.channel = argv[1],
	    .ttl_s = (uint32_t)n[0],
	    .appended = (uint32_t)n[1],
	    .messages = (uint32_t)n[2],
	    .trimmed_seq = n[3],
	    .newest_seq = n[4],
	    .touched_age_us = n[5]};
	return hub_image_ring(&r->hub, &ring);
}

static bool
read_message(struct history_image_reader *r, const struct slice *argv, size_t argc)
{
	uint64_t n[2];

	if (argc != 4 || !numbers(argv, 3, 1, n))
		return false;
	return hub_image_message(&r->hub, &(struct hub_image_message){n[0], n[1], argv[3]});
}

static bool
read_command(struct history_image_reader *r, const struct slice *argv, size_t argc)
{
	if (slice_is(argv[0], "FANFARED.HISTORY"))
		return read_head(r, argv, argc);
	if (r->state != IMAGE_OPEN)
		return false;
	if (slice_is(argv[0], "FANFARED.LINE"))
		return read_line(r, argv, argc);
	if (slice_is(argv[0], "FANFARED.RING"))
		return read_ring(r, argv, argc);
	if (slice_is(argv[0], "FANFARED.KEPT"))
		return read_message(r, argv, argc);
	if (!slice_is(argv[0], "FANFARED.END") || argc != 1)
		return false;
	r->state = IMAGE_WHOLE;
	return true;
}

bool
history_image_read(struct history_image_reader *r, const struct slice *argv, size_t argc,
    char *error, size_t error_len)
{
	struct buffer name = {0};

	if (r->state != IMAGE_BROKEN && read_command(r, argv, argc))
		return true;
	r->state = IMAGE_BROKEN;
	buffer_append_escaped(
	    &name, (struct slice){argv[0].ptr, argv[0].len < 64 ? argv[0].len : 64});
	snprintf(error, error_len, "inconsistent history: wrong '%.*s'", (int)name.len, name.ptr);
	buffer_release(&name);
	return false;
}

void
server_history_forget(struct server *server)
{
	hub_image_forget(server->hub, history_epoch_new(server->random));
}

void
server_history_hand_over(struct server *server)
{
	server->pause->handed_over = true;
	hub_seal_history(server->hub);
}

bool
history_image_has_other_lines(const struct history_image_reader *r)
{
	return !channel_lines_equal(r->lines, hub_channel_lines(r->server->hub));
}

bool
history_image_end(struct history_image_reader *r)
{
	bool ok =
	    r->state == IMAGE_WHOLE && hub_image_end(&r->hub, history_image_has_other_lines(r));

	if (!ok)
		server_history_forget(r->server);
	channel_lines_free(r->lines);
	xfree(r);
	return ok;
}
