#include "config.h"

#include "server/upgrade_image.h"

#include <stdio.h>

#include "base/clock.h"
#include "pubsub/idempotency.h"
#include "pubsub/presence.h"
#include "pubsub/presence_image.h"
#include "resp/writer.h"
#include "server/core.h"
#include "server/presence_service.h"

/* Pieces of this size are handed to the sink. */
#define PIECE_BYTES 262144

#define IMAGE_VERSION "1"

struct image_writer {
	struct buffer commands;
	bool (*sink)(void *arg, struct slice commands);
	void *arg;
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

/* Numbers are below 2^63. */
static void
put(struct image_writer *w, uint64_t number)
{
	resp_put_bulk_int(&w->commands, number < INT64_MAX ? (int64_t)number : INT64_MAX);
}

static bool
put_key(void *arg, const struct idempotency_record *record)
{
	const struct hub_outcome *outcome = record->outcome;
	struct image_writer *w = arg;

	begin(w, 9, "FANFARED.IDKEY");
	resp_put_bulk(&w->commands, record->channel);
	resp_put_bulk(&w->commands, record->key);
	put(w, record->end_us);
	put(w, outcome->receivers);
	put(w, outcome->queued);
	put(w, outcome->catching_up);
	put(w, outcome->position.epoch);
	put(w, outcome->position.seq);
	return flush(w, PIECE_BYTES);
}

static bool
put_channel(void *arg, const struct presence_image_channel *channel)
{
	struct image_writer *w = arg;

	begin(w, 4, "FANFARED.PRESENCE");
	resp_put_bulk(&w->commands, channel->name);
	put(w, channel->announced);
	put(w, channel->vacant_at_us);
	return flush(w, PIECE_BYTES);
}

static bool
put_member(void *arg, const struct presence_image_member *member)
{
	struct image_writer *w = arg;

	begin(w, 7, "FANFARED.MEMBER");
	resp_put_bulk(&w->commands, member->name);
	resp_put_bulk(&w->commands, member->info);
	put(w, member->is_connected);
	put(w, member->announced);
	put(w, member->lease_until_us);
	put(w, member->leave_at_us);
	return flush(w, PIECE_BYTES);
}

bool
server_upgrade_write(
    const struct server *server, bool (*sink)(void *arg, struct slice commands), void *arg)
{
	struct image_writer w = {.sink = sink, .arg = arg, .ok = true};
	const struct presence_image_sink members = {put_channel, put_member, &w};

	begin(&w, 2, "FANFARED.UPGRADE");
	resp_put_bulk_str(&w.commands, IMAGE_VERSION);
	if (idempotency_each(server->idempotency, clock_mono_us(), put_key, &w) &&
	    presence_image_write(server->presence->presence, &members)) {
		begin(&w, 1, "FANFARED.END");
		(void)!flush(&w, 0);
	}
	buffer_release(&w.commands);
	return w.ok;
}

void
upgrade_image_begin(struct upgrade_image_reader *r, struct server *server)
{
	*r = (struct upgrade_image_reader){.server = server};
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
read_key(struct upgrade_image_reader *r, const struct slice *argv, size_t argc)
{
	struct idempotency *keys = r->server->idempotency;
	uint64_t now_us = clock_mono_us(), n[6];
	struct hub_outcome outcome;

	if (argc != 9 || !numbers(argv, argc, 3, n) || argv[1].len > UINT16_MAX ||
	    argv[2].len > IDEMPOTENCY_KEY_MAX || n[0] > INT64_MAX ||
	    idempotency_find(keys, argv[1], argv[2], now_us) != NULL)
		return false;
	outcome = (struct hub_outcome){
	    .receivers = n[1], .queued = n[2], .catching_up = n[3], .position = {n[4], n[5]}};
	if (n[0] > now_us)
		idempotency_add(keys, argv[1], argv[2], &outcome, now_us, n[0] - now_us);
	return true;
}

static bool
read_channel(struct upgrade_image_reader *r, const struct slice *argv, size_t argc)
{
	uint64_t n[2];

	if (argc != 4 || !numbers(argv, argc, 2, n) || n[0] > 1)
		return false;
	buffer_clear(&r->channel);
	buffer_append_slice(&r->channel, argv[1]);
	r->has_channel = true;
	return presence_image_add_channel(r->server->presence->presence,
	    &(struct presence_image_channel){argv[1], n[0] == 1, n[1]});
}

static bool
read_member(struct upgrade_image_reader *r, const struct slice *argv, size_t argc)
{
	struct presence_service *service = r->server->presence;
	uint64_t n[4];

	if (!r->has_channel || argc != 7 || !numbers(argv, argc, 3, n) || n[0] > 1 || n[1] > 1)
		return false;
	return presence_image_add_member(service->presence, &service->elsewhere,
	    buffer_slice(&r->channel),
	    &(struct presence_image_member){argv[1], argv[2], n[0] == 1, n[1] == 1, n[2], n[3]},
	    clock_mono_us());
}

static bool
read_command(struct upgrade_image_reader *r, const struct slice *argv, size_t argc)
{
	if (slice_is(argv[0], "FANFARED.UPGRADE")) {
		if (r->state != UPGRADE_IMAGE_EMPTY || argc != 2 ||
		    !slice_is(argv[1], IMAGE_VERSION))
			return false;
		r->state = UPGRADE_IMAGE_OPEN;
		return true;
	}
	if (r->state != UPGRADE_IMAGE_OPEN)
		return false;
	if (slice_is(argv[0], "FANFARED.IDKEY"))
		return read_key(r, argv, argc);
	if (slice_is(argv[0], "FANFARED.PRESENCE"))
		return read_channel(r, argv, argc);
	if (slice_is(argv[0], "FANFARED.MEMBER"))
		return read_member(r, argv, argc);
	if (!slice_is(argv[0], "FANFARED.END") || argc != 1)
		return false;
	presence_image_end(r->server->presence->presence);
	r->state = UPGRADE_IMAGE_WHOLE;
	return true;
}

bool
upgrade_image_read(struct upgrade_image_reader *r, const struct slice *argv, size_t argc,
    char *error, size_t error_len)
{
	struct buffer name = {0};

	if (r->state != UPGRADE_IMAGE_BROKEN && read_command(r, argv, argc))
		return true;
	r->state = UPGRADE_IMAGE_BROKEN;
	buffer_append_escaped(
	    &name, (struct slice){argv[0].ptr, argv[0].len < 64 ? argv[0].len : 64});
	snprintf(error, error_len, "inconsistent state: wrong '%.*s'", (int)name.len, name.ptr);
	buffer_release(&name);
	return false;
}

bool
upgrade_image_end(struct upgrade_image_reader *r)
{
	buffer_release(&r->channel);
	return r->state == UPGRADE_IMAGE_WHOLE;
}
