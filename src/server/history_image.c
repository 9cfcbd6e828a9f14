#include "config.h"

#include "server/history_image.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "pubsub/channel_lines.h"
#include "pubsub/channel_options.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_image.h"
#include "pubsub/hub_options.h"
#include "server/core.h"
#include "server/history_epoch.h"
#include "server/image_commands.h"
#include "server/pause.h"
#include "server/tracking.h"

#define IMAGE_VERSION "1"

struct history_writer {
	struct image_writer out;
	const struct server *server;
};

static bool
put_lines(struct history_writer *h)
{
	const struct channel_lines *lines = hub_channel_lines(h->server->hub);
	const struct channel_line *line;
	struct image_writer *w = &h->out;
	struct buffer value = {0};

	for (line = channel_lines_first(lines); line != NULL; line = channel_lines_next(line)) {
		size_t options = (size_t)__builtin_popcount(line->set);

		image_begin(w, 2 + options * 2, "FANFARED.LINE");
		image_put_text(w, line->glob);
		for (size_t i = 0; i < CHANNEL_OPTIONS; i++) {
			if ((line->set & 1U << i) == 0)
				continue;
			buffer_clear(&value);
			channel_option_write(&line->values, i, &value);
			image_put_text(w, slice_of(channel_option_at(i)->name));
			image_put_text(w, buffer_slice(&value));
		}
		if (!image_pass(w))
			break;
	}
	buffer_release(&value);
	return w->ok;
}

static bool
put_head(void *arg, const struct hub_image_head *head)
{
	struct history_writer *h = arg;
	struct image_writer *w = &h->out;

	image_begin(w, 6, "FANFARED.HISTORY");
	image_put_text(w, SLICE(IMAGE_VERSION));
	image_put(w, head->newest.epoch);
	image_put(w, head->newest.seq);
	image_put(w, head->forgotten_seq);
	image_put(w, clock_wall_us());
	return put_lines(h);
}

static bool
put_ring(void *arg, const struct hub_image_ring *ring)
{
	struct image_writer *w = &((struct history_writer *)arg)->out;

	image_begin(w, 8, "FANFARED.RING");
	image_put_text(w, ring->channel);
	image_put(w, ring->ttl_s);
	image_put(w, ring->appended);
	image_put(w, ring->messages);
	image_put(w, ring->trimmed_seq);
	image_put(w, ring->newest_seq);
	image_put(w, ring->touched_age_us);
	return image_pass(w);
}

static bool
put_message(void *arg, const struct hub_image_message *message)
{
	struct image_writer *w = &((struct history_writer *)arg)->out;

	image_begin(w, 4, "FANFARED.KEPT");
	image_put(w, message->seq);
	image_put(w, message->age_us);
	image_put_text(w, message->payload);
	return image_pass(w);
}

bool
server_history_write(
    const struct server *server, bool (*sink)(void *arg, struct slice commands), void *arg)
{
	struct history_writer h = {{.sink = sink, .arg = arg, .ok = true}, server};
	const struct hub_image_sink out = {put_head, put_ring, put_message, &h};

	return image_finish(&h.out, hub_image_write(server->hub, &out, clock_mono_us()));
}

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

static bool
read_head(struct history_image_reader *r, const struct slice *argv, size_t argc)
{
	uint64_t n[4], now_us = clock_wall_us();
	struct hub_image_head head;

	if (r->state != IMAGE_EMPTY || argc != 6 || !slice_is(argv[1], IMAGE_VERSION) ||
	    !image_numbers(argv, argc, 2, n))
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

	if (argc != 8 || !image_numbers(argv, argc, 2, n) || n[0] > UINT32_MAX ||
	    n[1] > UINT32_MAX || n[2] > UINT32_MAX)
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

	if (argc != 4 || !image_numbers(argv, 3, 1, n))
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
	if (r->state != IMAGE_BROKEN && read_command(r, argv, argc))
		return true;
	r->state = IMAGE_BROKEN;
	image_refuse("history", argv[0], error, error_len);
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
	tracking_all_changed(server); /* later changes are made by another process */
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
